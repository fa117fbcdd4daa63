// What forms alone cannot do: copy, save, follow the log, take a token apart. Pages work without it, but for the last.
"use strict";

const byId = (id) => document.getElementById(id);

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { copy, copyFrom, save, file, inspect } = button.dataset;
  if (copy !== undefined || copyFrom) {
    await navigator.clipboard.writeText(copy ?? byId(copyFrom).textContent);
    const words = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = words; }, 1200);
  } else if (save) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([byId(save).value], { type: "application/x-pem-file" }));
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  } else if (inspect) {
    sessionStorage.setItem("token", byId(inspect).value);
    location.href = "/portal/tokens";
  }
});

// A certificate's file becomes the text of its field: the form stays a plain one.
for (const input of document.querySelectorAll("input[data-into]")) {
  input.addEventListener("change", async () => {
    const [chosen] = input.files;
    if (!chosen || chosen.size > 20000) return;
    const bytes = new Uint8Array(await chosen.arrayBuffer());
    const text = new TextDecoder().decode(bytes);
    const pem = text.includes("-----BEGIN CERTIFICATE");
    const only = pem ? text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/)?.[0] : null;
    byId(input.dataset.into).value = only ?? btoa(String.fromCharCode(...bytes));
  });
}

// The sign-in log as it grows.
const live = document.querySelector("[data-live]");
if (live) {
  const rows = byId("rows");
  const state = byId("live-state");
  let seen = 0;
  const events = new EventSource(live.dataset.live);
  events.onopen = () => { live.classList.add("on"); state.textContent = "Live: new sign-ins appear at the top"; };
  events.onerror = () => { live.classList.remove("on"); state.textContent = "Not connected; trying again"; };
  events.onmessage = (event) => {
    // made by the portal's own template, which escapes everything that came from outside
    rows.insertAdjacentHTML("afterbegin", event.data);
    rows.firstElementChild.classList.add("new");
    while (rows.children.length > 500) rows.lastElementChild.remove();
    byId("empty")?.remove();
    seen += 1;
    state.textContent = `Live: ${seen} new since this page was opened`;
  };
}

// The token inspector.
const field = byId("token");
if (field) {
  const words = new Map([...byId("words").querySelectorAll("dt")].map((dt) => [dt.textContent, dt.nextSibling.textContent]));
  const bytesOf = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const jsonOf = (part) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(part)));
  const time = (unix) => new Date(unix * 1000).toISOString().replace("T", " ").replace(".000", "");
  const shown = (name, value) => {
    if (["iat", "nbf", "exp"].includes(name) && Number.isFinite(value)) return time(value);
    if (Array.isArray(value)) return value.join(", ");
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  };
  const fill = (body, members) => {
    body.replaceChildren(...Object.entries(members).map(([name, value]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.append(Object.assign(document.createElement("code"), { textContent: name }));
      row.append(head);
      for (const [text, kind] of [[shown(name, value), "break"], [words.get(name) ?? "", "minor"]]) {
        row.append(Object.assign(document.createElement("td"), { textContent: text, className: kind }));
      }
      return row;
    }));
  };
  const signature = async (parts, header) => {
    const answer = await fetch("/common/discovery/v2.0/keys");
    const jwk = (await answer.json()).keys.find((key) => key.kid === header.kid);
    if (header.alg !== "RS256" || !jwk) return "Not signed by this local Entra ID.";
    const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("jwk", { kty: "RSA", n: jwk.n, e: jwk.e }, rsa, false, ["verify"]);
    const signed = new TextEncoder().encode(`${parts[0]}.${parts[1]}`);
    const good = await crypto.subtle.verify(rsa, key, bytesOf(parts[2]), signed);
    return good ? "The signature is good." : "The signature is WRONG: somebody changed the token.";
  };
  const inspect = async () => {
    const verdict = byId("verdict");
    const token = field.value.trim().replace(/^Bearer\s+/i, "");
    byId("parts").hidden = true;
    verdict.hidden = token === "";
    if (token === "") return;
    const parts = token.split(".");
    let header, claims;
    try {
      if (parts.length !== 3 || token.length > 20000) throw new Error();
      [header, claims] = [jsonOf(parts[0]), jsonOf(parts[1])];
    } catch {
      verdict.textContent = "This is not a JSON Web Token: three parts of base64url with dots between.";
      return;
    }
    fill(byId("claims"), claims);
    fill(byId("header"), header);
    byId("parts").hidden = false;
    const now = Number(field.dataset.now);
    const said = [];
    if (claims.exp <= now) said.push("It has expired.");
    else if (claims.nbf > now) said.push("It is not valid yet.");
    else said.push("It is within its time.");
    if (claims.scp !== undefined) said.push("It was issued for a user.");
    else if (!claims.roles?.length) said.push("It has no roles: an API that asks for one answers 403.");
    verdict.textContent = said.join(" ");
    try {
      said.push(await signature(parts, header));
    } catch {
      said.push("The signature could not be checked.");
    }
    verdict.textContent = said.join(" ");
  };
  field.addEventListener("input", inspect);
  const picked = sessionStorage.getItem("token");
  if (picked) {
    sessionStorage.removeItem("token");
    field.value = picked;
    inspect();
  }
}

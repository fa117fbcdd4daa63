//! The portal in Chromium: a daemon's author from nothing to a 200, by clicks and keys.

use super::common::{self, CONTOSO, DAEMON, GRAPH_DEFAULT, start};
use super::webdriver::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_from_nothing_to_a_200() {
    let entra = start().await;
    let portal = entra.emulator.portal_url();
    let browser = Browser::start().await;

    // register an app, add a secret
    browser.open(&format!("{portal}/apps")).await;
    browser.fill("#name", "Browser daemon").await;
    browser.choose("#tenant", "contoso").await;
    browser.click("#new button").await;
    browser.shows("h1", "Browser daemon").await;
    browser.fill("#secret-name", "from the browser").await;
    browser.click("#add-secret").await;
    browser.shows(".fresh", "from the browser").await;
    let secret = browser.text("#new-secret").await;
    let app = browser.text(".facts .value").await;
    assert!(uuid::Uuid::try_parse(&app).is_ok(), "{app}");

    // use it, over the wire
    let ask = [("client_id", app.as_str()), ("client_secret", secret.as_str()), ("scope", GRAPH_DEFAULT)];
    let answer = entra.token(&ask).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    let call = async |token: &str| {
        let users = format!("{}/v1.0/users", entra.emulator.graph_url());
        entra.send(entra.client.get(users).bearer_auth(token)).await.status
    };
    assert_eq!(call(answer.json["access_token"].as_str().unwrap()).await, 403, "no administrator has consented");

    // the same in the portal, with the secret that it made
    browser.open(&format!("{portal}/apps/{app}")).await;
    browser.choose("#permission", "User.Read.All").await;
    browser.click("#add-permission").await;
    browser.shows(".notice.good", "permission was added").await;
    browser.shows("#permissions", "not granted").await;
    let try_it = async || {
        browser.open(&format!("{portal}/try?app={app}")).await;
        browser.fill("#scope", GRAPH_DEFAULT).await;
        browser.choose("#call", "users").await;
        browser.click("#send").await;
        browser.shows("#token-status", "200").await;
    };
    try_it().await;
    browser.shows("#call-status", "403").await;

    // consent, and again
    browser.open(&format!("{portal}/apps/{app}")).await;
    browser.click("#grant").await;
    browser.shows(".grants", "User.Read.All of Microsoft Graph").await;
    browser.click(".actions button").await;
    browser.shows(".notice.good", "Consent was granted").await;
    try_it().await;
    browser.shows("#call-status", "200").await;
    browser.shows("#called", "ada@contoso.com").await;
    let answer = entra.token(&ask).await;
    assert_eq!(call(answer.json["access_token"].as_str().unwrap()).await, 200);

    // the token, taken apart in the page
    browser.click("button[data-inspect]").await;
    browser.shows("#verdict", "The signature is good.").await;
    browser.shows("#claims", "User.Read.All").await;

    // the log: a refusal appears while the page is open, and is explained
    browser.open(&format!("{portal}/sign-ins")).await;
    browser.shows("#live-state", "Live").await;
    let refused = entra.token(&[("client_secret", "wrong")]).await;
    browser.shows("#rows tr:first-child", "AADSTS7000215").await;
    browser.click("#rows tr:first-child a").await;
    browser.shows("h1", "Refused: AADSTS7000215").await;
    browser.shows(".advice", "The client secret is wrong").await;
    browser.shows("main", refused.json["trace_id"].as_str().unwrap()).await;
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "the console: {complaints:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keyboard_names_and_both_colour_schemes() {
    let entra = start().await;
    let portal = entra.emulator.portal_url();
    let trace = entra.token(&[("client_secret", "wrong")]).await.json["trace_id"].as_str().unwrap().to_owned();
    let browser = Browser::start().await;
    for path in [
        String::new(),
        "/tenants".into(),
        "/apps".into(),
        format!("/apps/{DAEMON}"),
        format!("/apps/{DAEMON}/consent"),
        format!("/apps/{DAEMON}/code"),
        "/enterprise".into(),
        format!("/enterprise/{CONTOSO}/{DAEMON}"),
        "/sign-ins".into(),
        format!("/sign-ins/{trace}"),
        "/tokens".into(),
        "/try".into(),
        "/faults".into(),
    ] {
        browser.open(&format!("{portal}{path}")).await;
        for dark in [false, true] {
            browser.picture(1280, 900, dark).await;
            let wrong = browser.script(AUDIT, serde_json::json!([])).await;
            assert_eq!(wrong, serde_json::json!([]), "{path}, dark: {dark}");
        }
        // on a telephone nothing is wider than the screen
        browser.picture(390, 800, false).await;
        let wide = browser.script(WIDER, serde_json::json!([])).await;
        assert_eq!(wide, serde_json::json!([]), "{path} is wider than a telephone");
    }
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "the console: {complaints:?}");
}

/// The pictures of README; only when the variable names a folder.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_for_the_readme() {
    let Ok(folder) = std::env::var("APPTOKEN_PICTURES") else { return };
    let entra = start().await;
    let portal = entra.emulator.portal_url();
    let browser = Browser::start().await;
    let (app, tenant) = (DAEMON.to_string(), CONTOSO.to_string());
    let other = common::daemon_key(&entra.emulator);
    entra.emulator.directory().add_certificate(&app, "build server", &other.certificate).unwrap();
    entra.token(&[]).await;
    entra.token(&[("scope", GRAPH_DEFAULT)]).await;
    let trace = entra.token(&[("client_secret", "a secret of last year's")]).await.json["trace_id"].clone();
    entra.token(&[("scope", "api://nowhere/.default")]).await;
    entra.emulator.directory().grant_admin_consent(&tenant, &app).unwrap();
    entra.token(&[]).await;
    let save = async |name: &str, path: &str, dark: bool, size: (u32, u32)| {
        browser.open(&format!("{portal}{path}")).await;
        browser.picture(size.0, size.1, dark).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let picture = browser.picture(size.0, size.1, dark).await;
        let bytes = apptoken_jose::base64url::decode_lenient(&picture).unwrap();
        std::fs::write(format!("{folder}/{name}.png"), bytes).unwrap();
    };
    save("overview", "", false, (1180, 860)).await;
    save("app", &format!("/apps/{DAEMON}"), false, (1180, 900)).await;
    save("explain", &format!("/sign-ins/{}", trace.as_str().unwrap()), true, (1180, 760)).await;
    save("sign-ins", "/sign-ins", true, (1180, 620)).await;
    save("faults", "/faults", false, (1180, 1000)).await;
}

/// What reaches beyond the right edge, when anything makes the page wider than the screen.
const WIDER: &str = r#"
if (document.documentElement.scrollWidth <= innerWidth) return [];
return [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth)
  .filter((e) => !e.closest(".scroll, pre")).map((e) => e.outerHTML.slice(0, 150));
"#;

/// Every field has a label, every button and link a name, ids are there once, headings step by one, and all text has
/// the contrast of WCAG AA on its ground.
const AUDIT: &str = r#"
const wrong = [];
const seen = (e) => e.getClientRects().length > 0;
for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
  if (!e.labels?.length && !e.ariaLabel) wrong.push("no label: " + e.outerHTML);
for (const e of document.querySelectorAll("a, button"))
  if (!(e.ariaLabel || e.textContent.trim())) wrong.push("no name: " + e.outerHTML);
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push("id twice: " + id);
let level = 0;
for (const e of document.querySelectorAll("h1, h2, h3")) {
  if (Number(e.tagName[1]) > level + 1) wrong.push("heading out of step: " + e.textContent);
  level = Number(e.tagName[1]);
}
if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
const rgba = (c) => (c.match(/[\d.]+/g) ?? []).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (e) => {
  for (; e; e = e.parentElement) {
    const c = rgba(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c;
  }
  return [255, 255, 255];
};
for (const e of document.querySelectorAll("body *")) {
  const words = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!words || !seen(e) || e.closest(".unseen, .skip, option, noscript")) continue;
  const [a, b] = [light(rgba(getComputedStyle(e).color)), light(ground(e))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (contrast < 4.5) wrong.push("contrast " + contrast.toFixed(2) + ": " + e.outerHTML.slice(0, 120));
}
return wrong;
"#;

// Plays the cases that `cargo xtask interop` wrote down with one client library; one line of JSON for each.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

// `sourceOf(case, scene)` makes the library's client and gives a function from claims (or undefined) to a token;
// `shown(error)` says what of a refusal the library shows beside its type and its text.
export async function play(name, library, sourceOf, shown) {
  const { scene, cases } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
  say({ client: `${name} ${require(`${library}/package.json`).version}` });
  for (const one of cases) {
    let came, source;
    try {
      source = await sourceOf(one, scene);
      came = one.challenge ? await challenged(source, one, scene) : await granted(source, one);
    } catch (error) {
      came = { raised: raised(error, shown) };
      if (one.again && source) came.raisedAgain = await again(source, shown);
    }
    say({ case: one.id, ...came });
  }
}

// Two requests for one token, which the API is called with.
async function granted(source, { call: api }) {
  const token = await source();
  return { claims: claimsOf(token), cached: (await source()) === token, api: (await call(api, token)).status };
}

// Continuous access evaluation: the API refuses a token that was revoked and says what the next one must have.
async function challenged(source, { clientId, call: api }, scene) {
  const token = await source();
  const before = (await call(api, token)).status;
  await fetch(`${scene.revoke}/${clientId}`, { method: 'POST' });
  const refusal = await call(api, token);
  const challenge = /claims="([^"]*)"/.exec(refusal.headers.get('WWW-Authenticate') ?? '');
  const claims = challenge ? Buffer.from(challenge[1], 'base64').toString() : undefined;
  const renewed = await source(claims);
  return {
    claims: claimsOf(renewed),
    renewed: renewed !== token,
    api: [before, refusal.status, (await call(api, renewed)).status],
  };
}

async function again(source, shown) {
  try {
    await source();
    return null;
  } catch (error) {
    return raised(error, shown);
  }
}

function raised(error, shown) {
  return { type: error.constructor.name, text: error.message, ...shown(error) };
}

function call(api, token) {
  return fetch(api.url, { headers: { Authorization: `Bearer ${token}` } });
}

function claimsOf(token) {
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
}

function say(line) {
  console.log(JSON.stringify(line));
}

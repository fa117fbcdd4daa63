// Validators that others wrote accept the tokens and refuse what was changed: jose, jwks-rsa with jsonwebtoken; and
// openid-client reads the metadata and gets a token by it. `validators.mjs JOB`; one line of JSON for each check.

import { readFileSync } from 'node:fs';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import jsonwebtoken from 'jsonwebtoken';
import jwksRsa from 'jwks-rsa';
import * as oidc from 'openid-client';

// not by `require`: some packages do not export it
const version = (name) => {
  const file = new URL(`./node_modules/${name}/package.json`, import.meta.url);
  return `${name} ${JSON.parse(readFileSync(file, 'utf8')).version}`;
};
const job = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { authority, tenantId, clientId, clientSecret, resources } = job;

const validators = {
  [version('jose')]: (metadata) => {
    const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
    return (token, audience) => jwtVerify(token, keys, { issuer: metadata.issuer, audience, algorithms: ['RS256'] });
  },
  [`${version('jwks-rsa')}, ${version('jsonwebtoken')}`]: (metadata) => {
    const client = jwksRsa({ jwksUri: metadata.jwks_uri });
    return async (token, audience) => {
      const { kid } = jsonwebtoken.decode(token, { complete: true }).header;
      const key = (await client.getSigningKey(kid)).getPublicKey();
      return jsonwebtoken.verify(token, key, { issuer: metadata.issuer, audience, algorithms: ['RS256'] });
    };
  },
};

for (const { version: format, scope, audience } of resources) {
  const path = format === '1.0' ? '' : 'v2.0/';
  const url = new URL(`${authority}/${tenantId}/${path}.well-known/openid-configuration`);
  const metadata = await (await fetch(url)).json();
  const token = await tokenFor(scope);
  for (const [name, make] of Object.entries(validators)) {
    const validate = make(metadata);
    await report(name, `token ${format}`, () => validate(token, audience));
    await refused(name, `token ${format}, for another`, () => validate(token, 'api://another'));
    await refused(name, `token ${format}, changed`, () => validate(changed(token), audience));
  }
}

if (job.discovery) {
  await report(version('openid-client'), 'discovery and a token', async () => {
    const issuer = new URL(`${authority}/${tenantId}/v2.0`);
    const configuration = await oidc.discovery(issuer, clientId, clientSecret);
    const { access_token: token } = await oidc.clientCredentialsGrant(configuration, { scope: resources[0].scope });
    if (!token) throw new Error('no token');
  });
}

async function tokenFor(scope) {
  const body = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret, scope };
  const answer = await fetch(`${authority}/${tenantId}/oauth2/v2.0/token`, {
    method: 'POST',
    body: new URLSearchParams(body),
  });
  return (await answer.json()).access_token;
}

// With one role more, and the old signature.
function changed(token) {
  const [header, payload, signature] = token.split('.');
  const claims = { ...JSON.parse(Buffer.from(payload, 'base64url')), roles: ['Admin'] };
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
}

async function report(who, what, check) {
  let wrong = null;
  try {
    await check();
  } catch (error) {
    wrong = String(error.cause ?? error);
  }
  console.log(JSON.stringify({ who, what, wrong }));
}

// Refused for what is wrong with the token, not for anything else.
async function refused(who, what, check) {
  await report(who, what, async () => {
    try {
      await check();
    } catch (error) {
      if (/audience|"aud"|signature/i.test(error.message)) return;
      throw error;
    }
    throw new Error('accepted');
  });
}

// MSAL Node with its own settings, nothing about a local authority: for `apptoken run`. Node's fetch and https obey
// HTTPS_PROXY from 22.21 and 24 on; an older Node goes past the proxy, to the real login.microsoftonline.com.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ConfidentialClientApplication } from '@azure/msal-node';

const [, , file, kind] = process.argv;
const demo = JSON.parse(readFileSync(file, 'utf8'));
const { daemon, api } = demo;

const credential =
  kind === 'secret'
    ? { clientSecret: daemon.clientSecret }
    : {
        clientCertificate: {
          thumbprintSha256: daemon.thumbprintSha256,
          privateKey: readFileSync(daemon.privateKeyFile, 'utf8'),
        },
      };

const app = new ConfidentialClientApplication({
  auth: {
    clientId: daemon.clientId,
    authority: `https://login.microsoftonline.com/${demo.tenantId}`,
    ...credential,
  },
});

const { accessToken } = await app.acquireTokenByClientCredential({ scopes: [api.scope] });
const answer = await fetch(api.url, { headers: { Authorization: `Bearer ${accessToken}` } });
const todos = answer.ok ? await answer.json() : [];
const claims = JSON.parse(Buffer.from(accessToken.split('.')[1], 'base64url'));
const { version } = createRequire(import.meta.url)('@azure/msal-node/package.json');
console.log(
  JSON.stringify({
    client: `MSAL Node ${version}`,
    status: answer.status,
    todos: todos.length,
    proof: claims.azpacr ?? claims.appidacr,
  }),
);

// MSAL Node, unmodified: secret, and certificate by SHA-256 thumbprint (PS256).

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
    authority: `${demo.authority}/${demo.tenantId}`,
    knownAuthorities: [new URL(demo.authority).host], // with the port
    ...credential,
  },
});

const { accessToken } = await app.acquireTokenByClientCredential({ scopes: [api.scope] });
const again = await app.acquireTokenByClientCredential({ scopes: [api.scope] });
if (!accessToken || !again.fromCache) {
  throw new Error('no token, or the second one did not come from the cache');
}
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

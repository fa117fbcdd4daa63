// MSAL Node with the file that it shares with the program: says where its token came from.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ConfidentialClientApplication } from '@azure/msal-node';

const [, , file, path] = process.argv;
const demo = JSON.parse(readFileSync(file, 'utf8'));

const cachePlugin = {
  async beforeCacheAccess(context) {
    context.tokenCache.deserialize(existsSync(path) ? readFileSync(path, 'utf8') : '');
  },
  async afterCacheAccess(context) {
    if (context.cacheHasChanged) writeFileSync(path, context.tokenCache.serialize(), { mode: 0o600 });
  },
};
const app = new ConfidentialClientApplication({
  auth: {
    clientId: demo.daemon.clientId,
    clientSecret: demo.daemon.clientSecret,
    authority: `${demo.authority}/${demo.tenantId}`,
    knownAuthorities: [new URL(demo.authority).host], // with the port
  },
  cache: { cachePlugin },
});
const { fromCache } = await app.acquireTokenByClientCredential({ scopes: [demo.api.scope] });
const { version } = createRequire(import.meta.url)('@azure/msal-node/package.json');
console.log(JSON.stringify({ client: `MSAL Node ${version}`, cached: fromCache }));

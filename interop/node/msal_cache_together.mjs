// MSAL Node in a file that others write too: `FILE write APP SECONDS` puts tokens into it, `FILE read APPS` says how
// many of each app's tokens it has in its cache, and how many it serves.

import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import { ConfidentialClientApplication } from '@azure/msal-node';

const TENANT = '11111111-2222-3333-4444-555555555555';
const AUTHORITY = `https://login.microsoftonline.com/${TENANT}`;
const [, , path, what, ...rest] = process.argv;

// The protocol of msal-node-extensions: the lock is a file that nobody else has made. Its own plugin is no part of this:
// it needs libsecret, takes the lock after it has decided not to read again, and removes locks that are others'.
async function locked(work) {
  const lock = `${path}.lockfile`;
  for (let tries = 0; ; tries += 1) {
    try {
      const held = await open(lock, 'wx+');
      await held.write(String(process.pid));
      await held.close();
      break;
    } catch (error) {
      if (error.code !== 'EEXIST' || tries === 500) throw error;
      await pause(100);
    }
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

const content = () => readFile(path, 'utf8').catch((error) => (error.code === 'ENOENT' ? '' : Promise.reject(error)));

// what waits for the lock in `before` goes on holding it until `after`
function sharing() {
  let finish;
  let ended;
  return {
    async beforeCacheAccess(context) {
      if (!context.cacheHasChanged) return;
      await new Promise((begun, failed) => {
        ended = locked(async () => {
          context.tokenCache.deserialize(await content());
          begun();
          await new Promise((resolve) => { finish = resolve; });
          await writeFile(path, context.tokenCache.serialize(), { mode: 0o600 });
        });
        ended.catch(failed);
      });
    },
    async afterCacheAccess(context) {
      if (!context.cacheHasChanged) return;
      finish();
      await ended;
    },
  };
}

function reading() {
  let seen = 0;
  return {
    async beforeCacheAccess(context) {
      const { mtimeMs } = await stat(path);
      if (mtimeMs !== seen) context.tokenCache.deserialize(await content());
      seen = mtimeMs;
    },
    async afterCacheAccess() {},
  };
}

function client(app, cachePlugin, token) {
  const metadata = { issuer: `${AUTHORITY}/v2.0`, authorization_endpoint: `${AUTHORITY}/oauth2/v2.0/authorize`, token_endpoint: `${AUTHORITY}/oauth2/v2.0/token`, jwks_uri: `${AUTHORITY}/discovery/v2.0/keys` };
  const refused = { error: 'invalid_request', error_description: 'not in the file' };
  const networkClient = {
    sendGetRequestAsync: async () => ({ status: 200, headers: {}, body: metadata }),
    sendPostRequestAsync: async () => (token ? { status: 200, headers: {}, body: token() } : { status: 400, headers: {}, body: refused }),
  };
  return new ConfidentialClientApplication({
    auth: { clientId: app, clientSecret: 'a secret', authority: AUTHORITY, authorityMetadata: JSON.stringify(metadata) },
    cache: { cachePlugin },
    system: { networkClient },
  });
}

const ask = (application, number) => application.acquireTokenByClientCredential({ scopes: [`api://${number}/.default`] });

async function write(app, seconds) {
  let written = 0;
  const token = () => ({ access_token: `${app}/${written}`, expires_in: 3600, token_type: 'Bearer' });
  const application = client(app, sharing(), token);
  for (const end = Date.now() + 1000 * seconds; Date.now() < end; ) {
    await ask(application, written);
    written += 1;
    await pause(500 * Math.random());
  }
  return { written, forced: 0 };
}

async function read(apps) {
  const [held, served] = [{}, {}];
  for (const [app, count] of Object.entries(apps)) {
    const application = client(app, reading());
    application.getTokenCache().deserialize(await content());
    const rows = Object.values(application.getTokenCache().getKVStore());
    const secrets = new Set(rows.filter((row) => row.clientId === app).map((row) => row.secret));
    [held[app], served[app]] = [0, 0];
    for (let number = 0; number < count; number += 1) {
      held[app] += Number(secrets.has(`${app}/${number}`));
      const token = await ask(application, number).catch(() => null);
      served[app] += Number(token?.accessToken === `${app}/${number}`);
    }
  }
  return { held, served };
}

const said = what === 'write' ? await write(rest[0], Number(rest[1])) : await read(JSON.parse(rest[0]));
const { version } = createRequire(import.meta.url)('@azure/msal-node/package.json');
console.log(JSON.stringify({ client: `MSAL Node ${version}`, ...said }));

// oidc-provider over HTTPS: one client with a secret in the form, JWT access tokens signed with one RSA-2048 key, its own
// store in memory: node oidc_provider.mjs KEY CERTIFICATE CLIENT_ID CLIENT_SECRET RESOURCE
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const [key, certificate, client_id, client_secret, resource] = process.argv.slice(2);
const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) });
await new Promise((ready) => server.listen(0, 'localhost', ready));
const { port } = server.address();

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const provider = new Provider(`https://localhost:${port}`, {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }] },
  clients: [
    {
      client_id,
      client_secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'daemon',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 3600,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});
server.on('request', provider.callback());
process.stdin.on('end', () => process.exit()).resume();
console.log(JSON.stringify({ pid: process.pid, token_endpoint: `https://localhost:${port}/token` }));

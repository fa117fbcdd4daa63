// MSAL Node, unmodified.

import { readFileSync } from 'node:fs';
import { ConfidentialClientApplication, ManagedIdentityApplication } from '@azure/msal-node';
import { play } from './play.mjs';

function sourceOf({ clientId, tenant, scope, credential, challenge }, scene) {
  if (credential.kind === 'managedIdentity') {
    const app = new ManagedIdentityApplication();
    const resource = scope.replace(/\/\.default$/, '');
    return async () => (await app.acquireToken({ resource })).accessToken;
  }
  const app = new ConfidentialClientApplication({
    auth: {
      clientId,
      authority: `${scene.authority}/${tenant}`,
      knownAuthorities: [new URL(scene.authority).host], // with the port
      clientCapabilities: challenge ? ['CP1'] : undefined,
      ...ownWords(credential),
    },
  });
  return async (claims) => (await app.acquireTokenByClientCredential({ scopes: [scope], claims })).accessToken;
}

function ownWords(credential) {
  switch (credential.kind) {
    case 'secret':
      return { clientSecret: credential.secret };
    case 'certificate': {
      const privateKey = readFileSync(credential.privateKeyFile, 'utf8');
      const thumbprint =
        credential.hash === 'sha1' // RS256, x5t
          ? { thumbprint: credential.thumbprintSha1 }
          : { thumbprintSha256: credential.thumbprintSha256 }; // PS256, x5t#S256
      return { clientCertificate: { privateKey, ...thumbprint } };
    }
    default:
      return { clientAssertion: credential.assertion };
  }
}

const shown = (error) => ({
  error: error.errorCode,
  codes: error.errorNo ? [Number(error.errorNo)] : undefined,
  correlation: error.correlationId,
  trace: error.traceId,
  suberror: error.subError,
  claims: error.claims,
  status: error.status,
});

await play('MSAL Node', '@azure/msal-node', sourceOf, shown);

// MSAL Node as in Microsoft's samples: it knows tenant, client id and a secret or a certificate.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ConfidentialClientApplication } from '@azure/msal-node';
import { report } from './unmodified.mjs';

const { AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH } = process.env;

function ownCredential() {
  if (AZURE_CLIENT_SECRET) {
    return { clientSecret: AZURE_CLIENT_SECRET };
  }
  const pem = readFileSync(AZURE_CLIENT_CERTIFICATE_PATH, 'utf8');
  const begin = pem.indexOf('-----BEGIN CERTIFICATE');
  const { fingerprint256 } = new X509Certificate(pem.slice(begin));
  const thumbprintSha256 = fingerprint256.replaceAll(':', '');
  return { clientCertificate: { privateKey: pem.slice(0, begin), thumbprintSha256 } };
}

const application = (credential) =>
  new ConfidentialClientApplication({
    auth: {
      clientId: AZURE_CLIENT_ID,
      authority: `https://login.microsoftonline.com/${AZURE_TENANT_ID}`,
      ...credential,
    },
  });
const token = async (app, scope) => (await app.acquireTokenByClientCredential({ scopes: [scope] })).accessToken;

const app = application(ownCredential());
await report('MSAL Node', '@azure/msal-node', (scope) => token(app, scope), () =>
  token(application({ clientSecret: 'not the secret' }), 'api://todolist/.default'),
);

// @azure/identity, unmodified.

import {
  ClientAssertionCredential,
  ClientCertificateCredential,
  ClientSecretCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} from '@azure/identity';
import { play } from './play.mjs';

function sourceOf(one, scene) {
  const credential = credentialOf(one, { authorityHost: scene.authority, disableInstanceDiscovery: true });
  const enableCae = Boolean(one.challenge);
  return async (claims) => (await credential.getToken(one.scope, { enableCae, claims })).token;
}

function credentialOf({ clientId, tenant, credential }, local) {
  switch (credential.kind) {
    case 'secret':
      return new ClientSecretCredential(tenant, clientId, credential.secret, local);
    case 'certificate': // PS256, x5t#S256
      return new ClientCertificateCredential(tenant, clientId, credential.certificateAndKeyFile, local);
    case 'assertion':
      return new ClientAssertionCredential(tenant, clientId, async () => credential.assertion, local);
    case 'federated':
      return new WorkloadIdentityCredential({
        tenantId: tenant,
        clientId,
        tokenFilePath: credential.tokenFile,
        ...local,
      });
    case 'managedIdentity':
      return new ManagedIdentityCredential();
  }
}

const shown = (error) => ({
  error: error.errorResponse?.error,
  codes: error.errorResponse?.errorCodes,
  correlation: error.errorResponse?.correlationId,
  trace: error.errorResponse?.traceId,
  status: error.statusCode,
});

await play('@azure/identity', '@azure/identity', sourceOf, shown);

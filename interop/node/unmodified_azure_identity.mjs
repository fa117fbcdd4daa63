// @azure/identity as in Microsoft's samples: DefaultAzureCredential, which knows what its environment says. Unlike
// Node's own fetch, the HTTP client of the Azure SDK has always heeded HTTPS_PROXY.

import { createDefaultHttpClient, createHttpHeaders, createPipelineFromOptions, createPipelineRequest } from '@azure/core-rest-pipeline';
import { ClientSecretCredential, DefaultAzureCredential } from '@azure/identity';
import { report } from './unmodified.mjs';

const { AZURE_TENANT_ID, AZURE_CLIENT_ID } = process.env;
const token = async (credential, scope) => (await credential.getToken(scope)).token;

const credential = new DefaultAzureCredential();
const refused = () =>
  token(new ClientSecretCredential(AZURE_TENANT_ID, AZURE_CLIENT_ID, 'not the secret'), 'api://todolist/.default');
const pipeline = createPipelineFromOptions({});
const get = async (url, headers) => {
  const request = createPipelineRequest({ url, headers: createHttpHeaders(headers) });
  return (await pipeline.sendRequest(createDefaultHttpClient(), request)).bodyAsText;
};
await report(
  '@azure/identity',
  '@azure/identity',
  (scope) => token(credential, scope),
  AZURE_CLIENT_ID && refused,
  get,
);

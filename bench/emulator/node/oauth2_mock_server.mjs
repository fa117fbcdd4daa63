// oauth2-mock-server over HTTPS, with one RSA-2048 key: node oauth2_mock_server.mjs KEY CERTIFICATE
import { OAuth2Server } from 'oauth2-mock-server';

const [key, certificate] = process.argv.slice(2);
const server = new OAuth2Server(key, certificate);
await server.issuer.keys.generate('RS256');
await server.start(0, 'localhost');
process.stdin.on('end', () => process.exit()).resume();
console.log(JSON.stringify({ pid: process.pid, token_endpoint: `https://localhost:${server.address().port}/token` }));

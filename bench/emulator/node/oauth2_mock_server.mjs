// oauth2-mock-server over HTTPS, with one RSA-2048 key; two of its versions are installed under names of their own:
// node oauth2_mock_server.mjs KEY CERTIFICATE CLIENT_ID CLIENT_SECRET RESOURCE PACKAGE
const [key, certificate, , , , name] = process.argv.slice(2);
const { OAuth2Server } = await import(name);
const server = new OAuth2Server(key, certificate);
await server.issuer.keys.generate('RS256');
await server.start(0, 'localhost');
process.stdin.on('end', () => process.exit()).resume();
console.log(JSON.stringify({ pid: process.pid, token_endpoint: `https://localhost:${server.address().port}/token` }));

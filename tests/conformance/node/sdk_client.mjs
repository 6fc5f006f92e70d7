// The official client of TypeScript, with a provider that keeps everything in memory and a browser that follows the
// redirect. The argument is JSON: url, secret, calls (names of tools), and, as a test needs them, metadataUrl, clientId,
// scope, keepsRefreshToken. The last line printed is JSON.
import { createHmac } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const options = JSON.parse(process.argv[2]);
const REDIRECT = 'http://localhost:33418/callback';
const seen = { visits: [], scopes: [], refreshes: 0, results: [] };

class Provider {
  redirectUrl = REDIRECT;
  clientMetadataUrl = options.metadataUrl;
  client = options.clientId && { client_id: options.clientId };

  get clientMetadata() {
    const grants = ['authorization_code', 'refresh_token'];
    return {
      client_name: 'TypeScript', redirect_uris: [REDIRECT], grant_types: grants, response_types: ['code'],
      token_endpoint_auth_method: 'none', scope: options.scope,
    };
  }
  state() { return (this.wanted = crypto.randomUUID()); }
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.kept; }
  saveTokens(tokens) {
    seen.scopes.push(tokens.scope);
    if (this.kept?.refresh_token && this.kept.refresh_token !== tokens.refresh_token) seen.refreshes += 1;
    this.kept = tokens;
    if (options.keepsRefreshToken === false) delete this.kept.refresh_token;
  }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
  async redirectToAuthorization(url) {
    seen.visits.push(url.searchParams.get('scope'));
    const answer = await fetch(url, { redirect: 'manual' });
    const target = new URL(answer.headers.get('location'));
    if (!target.href.startsWith(REDIRECT)) throw new Error(`redirected to ${target}`);
    if (target.searchParams.get('state') !== this.wanted) throw new Error('another state');
    this.code = target.searchParams.get('code');
  }
}

// The same token, but of two hours ago.
function expired(token) {
  const [head, body] = token.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url'));
  claims.iat -= 7200;
  claims.exp = claims.iat + 60;
  const signed = `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${signed}.${createHmac('sha256', options.secret).update(signed).digest('base64url')}`;
}

const provider = new Provider();
const url = new URL(`${options.url}/mcp`);
let client, transport;

async function connect() {
  transport = new StreamableHTTPClientTransport(url, { authProvider: provider });
  client = new Client({ name: 'conformance', version: '1' });
  await client.connect(transport);
}

// A person's program does what failed once more after the browser came back.
async function authorized(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(provider.code);
    return await work();
  }
}

await authorized(connect);
seen.tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
for (const name of options.calls) {
  const call = () => client.callTool({ name, arguments: { n: 1 } });
  seen.results.push((await authorized(call)).content);
}
if (options.keepsRefreshToken !== false) {
  const before = provider.kept;
  provider.kept = { ...before, access_token: expired(before.access_token) };
  seen.results.push((await client.callTool({ name: options.calls[0], arguments: { n: 2 } })).content);
  seen.renewed = provider.kept.access_token !== before.access_token;
}
await client.close();
console.log(JSON.stringify({ ...seen, client: provider.client.client_id }));
process.exit(0);

// The official TypeScript client of the second generation, against the fixture. The argument is JSON: mode ('auto',
// 'legacy', 'sse'), url, cutting, mark. The last line printed is JSON: what each step of a client's life returned.
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { caller, filled, life, options, quiet, reconnected, roots, sampled, seen, tell } from './living.mjs';

async function connected(address) {
  const client = new Client({ name: 'typescript-v2', version: '1' }, {
    capabilities: { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} },
    versionNegotiation: options.mode === 'auto' ? { mode: 'auto' } : undefined,
  });
  client.setRequestHandler('elicitation/create', async (request) => {
    seen.asked.push(request.params.message);
    return { action: 'accept', content: filled(request.params.requestedSchema) };
  });
  client.setRequestHandler('sampling/createMessage', async () => sampled);
  client.setRequestHandler('roots/list', async () => roots);
  const url = new URL(address);
  await client.connect(options.mode === 'sse' ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url));
  return client;
}

const call = (client, parameters, settings) => client.callTool(parameters, settings);

const client = await connected(options.url);
seen.version = client.getNegotiatedProtocolVersion();
const waiting = Promise.all([quiet(connected, caller(call)), reconnected(connected, caller(call))]);
waiting.catch(() => {}); // It is told below.
await life(client, call);
await client.close();
[seen.quiet, seen.cut] = await waiting;
tell();

// The tasks requester of TypeScript, against the fixture. The argument is JSON: url, generation ('v1', the experimental
// tasks of 2025-11-25, or 'v2', the extension). The last line printed is JSON.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import {
  createApplicationInputHandler, createTaskSessionFromClient, resultFromTaskOutcome, toolDeclarationFromMcpTool,
} from '@modelcontextprotocol/ext-tasks/client';

const options = JSON.parse(process.argv[2]);
const VERSION = '2026-07-28';
const capabilities = { elicitation: { form: {} }, extensions: { 'io.modelcontextprotocol/tasks': {} } };
const info = { name: 'ext-tasks', version: '1' };
const newest = options.generation === 'v2';

const client = new Client(info, { capabilities: newest ? capabilities : { elicitation: {} },
  versionNegotiation: newest ? { mode: 'auto' } : undefined });
await client.connect(new StreamableHTTPClientTransport(new URL(options.url)));

// What a host's own coordinator does: one POST a request, with the headers that repeat its body.
async function dispatch(request, settings = {}) {
  const name = request.params?.name ?? request.params?.taskId ?? request.params?.uri;
  const answer = await fetch(options.url, {
    method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: crypto.randomUUID(), ...request }), signal: settings.signal,
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream',
      'MCP-Protocol-Version': VERSION, 'Mcp-Method': request.method, ...(name ? { 'Mcp-Name': name } : {}) },
  });
  const text = await answer.text();
  const stream = answer.headers.get('content-type').startsWith('text/event-stream');
  const messages = stream ? text.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)) : [text];
  return JSON.parse(messages.at(-1));
}

const asked = [];
const answer = async (request) => {
  asked.push(request.params.message);
  return { action: 'accept', content: { confirm: true } };
};
// In 2025-11-25 it only polls, and never sends tasks/result: the gateway asks on the session's own stream.
if (!newest) client.setRequestHandler('elicitation/create', answer);
const tools = (await client.listTools()).tools;
const session = createTaskSessionFromClient(client, {
  endpointId: 'fixture',
  tools: { currentTool: (name) => toolDeclarationFromMcpTool(tools.find((tool) => tool.name === name)) },
  onInputRequest: createApplicationInputHandler({ elicitation: answer }),
  ...(newest && { rawDispatch: dispatch,
    v2RequestFraming: { protocolVersion: VERSION, clientInfo: info, clientCapabilities: capabilities } }),
});

const seen = { asked };
const preference = newest ? undefined : { preference: 'prefer' };
const called = async (name, parameters, settings) => session.callTool(name, parameters, { task: preference, ...settings });
const settled = async (execution) => {
  const { outcome } = await execution.settle();
  return { kind: execution.kind, status: outcome.status,
    text: outcome.status === 'completed' ? resultFromTaskOutcome(outcome).content[0].text : outcome.error?.message };
};
seen.quick = await settled(await called('greet', { name: 'Ann' }));
seen.long = await settled(await called('slow_compute', { seconds: 2, label: 'x' }));
seen.confirmed = await settled(await called('confirm_delete', { filename: 'a.txt' }));
const canceled = await called('slow_compute', { seconds: 60, label: options.mark });
await canceled.cancel();
seen.canceled = (await canceled.settle()).outcome.status;
await session.close();
await client.close();
console.log(JSON.stringify(seen));
process.exit(0);

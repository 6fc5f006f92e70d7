// The tasks requester of TypeScript, against the fixture. The argument is JSON: mode ('v1', the experimental tasks of
// 2025-11-25, or 'v2', the extension), url, mark. The last line printed is JSON.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import {
  createApplicationInputHandler, createTaskSessionFromClient, resultFromTaskOutcome, toolDeclarationFromMcpTool,
} from '@modelcontextprotocol/ext-tasks/client';
import { CUT, SILENT, options, refused, seen, tell } from './living.mjs';

const VERSION = '2026-07-28';
const capabilities = { elicitation: { form: {} }, extensions: { 'io.modelcontextprotocol/tasks': {} } };
const info = { name: 'ext-tasks', version: '1' };
const newest = options.mode === 'v2';

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
  const { result, error } = JSON.parse(messages.at(-1));
  return error ? { kind: 'error', error } : { kind: 'result', result };
}

const answer = async (request) => {
  seen.asked.push(request.params.message);
  return { action: 'accept', content: { confirm: true } };
};

async function connected() {
  const client = new Client(info, { capabilities: newest ? capabilities : { elicitation: {} },
    versionNegotiation: newest ? { mode: 'auto' } : undefined });
  await client.connect(new StreamableHTTPClientTransport(new URL(options.url)));
  // In 2025-11-25 it only polls, and never sends tasks/result: the gateway asks on the session's own stream.
  if (!newest) client.setRequestHandler('elicitation/create', answer);
  const tools = (await client.listTools()).tools;
  const declarations = new Map(tools.map((tool) => [tool.name, toolDeclarationFromMcpTool(tool)]));
  const session = createTaskSessionFromClient(client, {
    endpointId: 'fixture',
    tools: { currentTool: (name) => declarations.get(name) },
    onInputRequest: createApplicationInputHandler({ elicitation: answer }),
    ...(newest && { rawDispatch: dispatch,
      v2RequestFraming: { protocolVersion: VERSION, clientInfo: info, clientCapabilities: capabilities } }),
  });
  return { session, tools, close: async () => { await session.close(); await client.close(); } };
}

const { session, tools, close } = await connected();
seen.version = newest ? VERSION : '2025-11-25';
seen.tools = tools.map((tool) => tool.name);

const preference = newest ? undefined : { preference: 'prefer' };
const called = async (name, parameters) => session.callTool(name, parameters, { task: preference });
const settled = async (execution) => {
  const { outcome } = await execution.settle();
  return { kind: execution.kind, status: outcome.status,
    error: outcome.status !== 'completed' || resultFromTaskOutcome(outcome).isError,
    text: outcome.status === 'completed' ? resultFromTaskOutcome(outcome).content[0].text : outcome.error?.message };
};

// A call that says nothing, and one that is handed over to another connection, run beside the others.
const silent = called(SILENT.name, SILENT.arguments).then(settled);
const handedOver = (async () => {
  const begun = await called(CUT.name, CUT.arguments);
  let reference;
  await begun.handoff((kept) => { reference = JSON.stringify(kept); });
  const other = await connected();
  const resumed = await settled(await other.session.resumeTask(JSON.parse(reference)));
  await other.close();
  return { text: resumed.text, lost: 'handed over' };
})();
const waiting = Promise.all([silent, handedOver]);
waiting.catch(() => {}); // It is told below.

seen.immediate = await settled(await called('greet', { name: 'Ann' }));
seen.echoed = JSON.parse((await settled(await called('a_first_tool', { n: 1 }))).text);
seen.error = (await settled(await called('failing_job', {}))).error;
seen.unknown = await refused(called('no_such_tool', {}).then(settled));
const confirmed = await settled(await called('confirm_delete', { filename: 'a.txt' }));
const canceled = await called('slow_compute', { seconds: 60, label: `${options.mark}-task` });
await canceled.cancel();
seen.tasks = { ...confirmed, canceled: (await canceled.settle()).outcome.status };
[seen.quiet, seen.cut] = await waiting;
await close();
tell();

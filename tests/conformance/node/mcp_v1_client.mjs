// The official TypeScript client of the first generation, which most programs have, against the fixture. The argument is
// JSON: mode ('http', 'sse'), url, cutting, mark. The last line printed is JSON: what each step of a client's life
// returned.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema, LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { caller, filled, life, options, quiet, reconnected, roots, sampled, seen, tell } from './living.mjs';

async function connected(address) {
  const client = new Client({ name: 'typescript-v1', version: '1' }, {
    capabilities: { elicitation: {}, sampling: {}, roots: {} },
  });
  client.setRequestHandler(ElicitRequestSchema, async (request) => {
    seen.asked.push(request.params.message);
    return { action: 'accept', content: filled(request.params.requestedSchema) };
  });
  client.setRequestHandler(CreateMessageRequestSchema, async () => sampled);
  client.setRequestHandler(ListRootsRequestSchema, async () => roots);
  client.setNotificationHandler(LoggingMessageNotificationSchema, (message) => { seen.logged.push(message.params.level); });
  const url = new URL(address);
  const transport = options.mode === 'sse' ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url);
  await client.connect(transport);
  // This generation tells its transport only.
  seen.version = transport.protocolVersion ?? transport._protocolVersion;
  return client;
}

const call = (client, parameters, settings) => client.callTool(parameters, undefined, settings);

// The experimental ones of 2025-11-25: one that asks, and one that is canceled.
async function tasks(client) {
  const api = client.experimental.tasks;
  const asking = { name: 'confirm_delete', arguments: { filename: 'a.txt' } };
  const found = { statuses: [] };
  for await (const message of api.callToolStream(asking, undefined, { task: {} })) {
    if (message.type === 'taskStatus') found.statuses.push(message.task.status);
    if (message.type === 'result') found.text = message.result.content[0].text;
    if (message.type === 'error') throw message.error;
  }
  const long = { name: 'slow_compute', arguments: { seconds: 60, label: `${options.mark}-task` } };
  for await (const message of api.callToolStream(long, undefined, { task: {} })) {
    if (message.type !== 'taskCreated') continue;
    await api.cancelTask(message.task.taskId);
    found.canceled = (await api.getTask(message.task.taskId)).status;
    break;
  }
  return found;
}

const client = await connected(options.url);
const waiting = Promise.all([quiet(connected, caller(call)), reconnected(connected, caller(call))]);
waiting.catch(() => {}); // It is told below.
await life(client, call);
await client.setLoggingLevel('debug');
await client.callTool({ name: 'test_tool_with_logging', arguments: {} });
seen.tasks = await tasks(client);
await client.close();
[seen.quiet, seen.cut] = await waiting;
tell();

// The official TypeScript client of the second generation, against the fixture. The argument is JSON: url, mode
// ('auto' or 'legacy'), sse. The last line printed is JSON: what each step of a client's life returned.
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const options = JSON.parse(process.argv[2]);
const url = new URL(options.url);
const seen = { asked: [] };

async function connected() {
  const client = new Client({ name: 'typescript-v2', version: '1' }, {
    capabilities: { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} },
    versionNegotiation: options.mode === 'auto' ? { mode: 'auto' } : undefined,
  });
  client.setRequestHandler('elicitation/create', async (request) => {
    seen.asked.push(request.params.message);
    const wanted = Object.keys(request.params.requestedSchema.properties);
    return { action: 'accept', content: Object.fromEntries(wanted.map((name) => [name, `my ${name}`])) };
  });
  client.setRequestHandler('sampling/createMessage', async () => ({
    model: 'none', role: 'assistant', content: { type: 'text', text: 'sampled' }, stopReason: 'endTurn',
  }));
  client.setRequestHandler('roots/list', async () => ({ roots: [{ uri: 'file:///work', name: 'work' }] }));
  const transport = options.sse ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url);
  await client.connect(transport);
  return client;
}

async function refused(work) {
  try { await work; return 'nothing'; } catch (error) { return error.code ?? error.name; }
}

const client = await connected();
seen.version = client.getNegotiatedProtocolVersion?.();
seen.server = client.getServerVersion()?.name;
seen.tools = (await client.listTools()).tools.map((tool) => tool.name);
seen.echoed = (await client.callTool({ name: 'a_first_tool', arguments: { n: 1 } })).structuredContent;

seen.progress = [];
seen.progressed = (await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, {
  onprogress: (progress) => seen.progress.push(progress.progress),
})).content[0].text;

seen.error = (await client.callTool({ name: 'test_error_handling', arguments: {} })).isError;
seen.unknown = await refused(client.callTool({ name: 'no_such_tool', arguments: {} }));

// Longer than the client's own timeout: the timer starts again with each notification of progress.
seen.patient = (await client.callTool({ name: 'slow', arguments: { seconds: 4 } }, {
  timeout: 2000, resetTimeoutOnProgress: true, onprogress: () => {},
})).structuredContent;

const leaving = new AbortController();
const slow = client.callTool({ name: 'slow', arguments: { seconds: 60, name: options.mark } }, {
  signal: leaving.signal, onprogress: () => leaving.abort('enough'),
});
seen.canceled = await refused(slow);

// A running flow asks in both revisions; one that asks before it starts does so in the newest.
const asks = ['test_elicitation', ...(options.mode === 'auto' ? ['test_input_required_result_elicitation'] : [])];
seen.elicited = [];
for (const name of asks) {
  seen.elicited.push((await client.callTool({ name, arguments: { message: 'Who?' } })).content[0].text);
}

seen.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
seen.prompt = (await client.getPrompt({ name: 'test_simple_prompt' })).messages[0].content.text;
seen.resources = (await client.listResources()).resources.map((resource) => resource.uri);
seen.resource = (await client.readResource({ uri: 'test://static-text' })).contents[0].text;
seen.templated = (await client.readResource({ uri: 'test://template/123/data' })).contents[0].text;
await client.close();

const again = await connected();
seen.again = (await again.callTool({ name: 'a_first_tool', arguments: { n: 2 } })).structuredContent;
await again.close();
console.log(JSON.stringify(seen));
process.exit(0);

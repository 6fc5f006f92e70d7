// What the lives of all TypeScript clients have in common. The argument of their programs is JSON: mode, url, cutting (an
// address that breaks a call's stream once), mark (what the tasks of this life are found by).
export const options = JSON.parse(process.argv[2]);
export const seen = { asked: [], logged: [] };

// Seconds for which a flow says nothing; milliseconds that a client waits for the next progress: less than the silence,
// more than five of the gateway's intervals; milliseconds of a timer that progress does not reset.
const SILENCE = 12;
export const PATIENCE = 6000;
export const HASTE = 1500;
export const SILENT = { name: 'slow_compute', arguments: { seconds: SILENCE, label: 'a long silence' } };
const cut = { seconds: 3, label: `${options.mark}-cut` };
// It has a key, so it may be made again.
export const CUT = { name: 'slow_compute', arguments: cut, _meta: { 'sh.asya/idempotencyKey': options.mark } };

// A form with an answer in every field.
export function filled(schema) {
  const fields = Object.entries(schema.properties);
  return Object.fromEntries(fields.map(([name, field]) => [name, field.type === 'boolean' ? true : `my ${name}`]));
}

export const sampled = {
  model: 'none', role: 'assistant', content: { type: 'text', text: 'sampled' }, stopReason: 'endTurn',
};
export const roots = { roots: [{ uri: 'file:///work', name: 'work' }] };

// The code of its error.
export async function refused(work) {
  try { await work; return 'nothing'; } catch (error) { return error.code ?? error.name; }
}

// The texts of a call, whose progress goes to a list.
export function caller(call) {
  return async (client, parameters, settings = {}) => (await call(client, parameters, settings)).content[0].text;
}

// A flow that says nothing: the timer starts again with each notification of progress.
export async function quiet(connected, call) {
  const client = await connected(options.url);
  const progress = [];
  const text = await call(client, SILENT, {
    timeout: PATIENCE, resetTimeoutOnProgress: true, onprogress: (heard) => progress.push(heard.progress),
  });
  await client.close();
  return { text, progress };
}

// The stream of a call breaks. A client that does not take it up makes the call again, with its key.
export async function reconnected(connected, call) {
  const client = await connected(options.cutting);
  try {
    // Where the loss is not told, the timer ends this call.
    const text = await call(client, CUT, { timeout: options.loses ? 8000 : 40000, onprogress: () => {} });
    await client.close();
    return { text, lost: null };
  } catch (error) {
    await client.close();
    const again = await connected(options.cutting);
    const text = await call(again, CUT, {});
    await again.close();
    return { text, lost: error.code ?? error.name };
  }
}

// What every client does; `call` returns a call's result.
export async function life(client, call) {
  const text = caller(call);
  seen.tools = (await client.listTools()).tools.map((tool) => tool.name);
  seen.echoed = (await call(client, { name: 'a_first_tool', arguments: { n: 1 } })).structuredContent;
  seen.progress = [];
  seen.progressed = await text(client, { name: 'test_tool_with_progress', arguments: {} }, {
    onprogress: (heard) => seen.progress.push(heard.progress),
  });
  seen.error = (await call(client, { name: 'test_error_handling', arguments: {} })).isError;
  seen.unknown = await refused(call(client, { name: 'no_such_tool', arguments: {} }));
  seen.hasty = await refused(call(client, SILENT, { timeout: HASTE, onprogress: () => {} }));

  const leaving = new AbortController();
  const slow = { name: 'slow', arguments: { seconds: 60, name: options.mark } };
  seen.canceled = await refused(call(client, slow, {
    signal: leaving.signal, onprogress: () => leaving.abort('enough'),
  }));

  // Tools of a flow that asks while it runs, and of one that asks before it starts.
  const asks = ['test_elicitation', 'test_input_required_result_elicitation'];
  seen.elicited = [];
  for (const name of asks) seen.elicited.push(await text(client, { name, arguments: { message: 'Who?' } }));
  seen.sampled = await text(client, { name: 'test_sampling', arguments: { prompt: 'Say' } });

  seen.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
  seen.prompt = (await client.getPrompt({ name: 'test_simple_prompt' })).messages[0].content.text;
  seen.resources = (await client.listResources()).resources.map((resource) => resource.uri);
  seen.resource = (await client.readResource({ uri: 'test://static-text' })).contents[0].text;
  seen.templated = (await client.readResource({ uri: 'test://template/123/data' })).contents[0].text;
}

// Print what was seen as the last line.
export function tell() {
  console.log(JSON.stringify(seen));
  process.exit(0);
}

// The official client of A2A for JavaScript. The argument is JSON: url (of the agent), version and binding (of the
// interface to use), and hook, a port where it listens for push notifications. The last line printed is JSON: what each
// step of a client's life returned.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import {
  ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory,
} from '@a2a-js/sdk/client';
import { Role, TaskState } from '@a2a-js/sdk';

const options = JSON.parse(process.argv[2]);
const legacyCompat = { enabled: true };
const cardResolver = new DefaultAgentCardResolver({ legacyCompat });
const card = await cardResolver.resolve(options.url);
card.supportedInterfaces = card.supportedInterfaces.filter(
  (each) => each.protocolVersion === options.version && each.protocolBinding === options.binding,
);
const seen = { interfaces: card.supportedInterfaces.length, skills: card.skills.map((skill) => skill.id) };
const transports = [new JsonRpcTransportFactory({ legacyCompat }), new RestTransportFactory({ legacyCompat })];
const factory = new ClientFactory({ transports, cardResolver });
const client = await factory.createFromAgentCard(card);
seen.version = client.protocolVersion;

const nameOf = (state) => TaskState[state];
const partsOf = (task) => task.artifacts[0].parts.map((part) => part.content.$case);
const textOf = (task) => task.artifacts[0].parts[0].content.value;

function request(text, { wait = true, config, ...message } = {}) {
  const part = { content: { $case: 'text', value: text }, metadata: undefined, filename: '', mediaType: '' };
  return {
    tenant: '', metadata: undefined,
    message: {
      messageId: randomUUID(), contextId: '', taskId: '', role: Role.ROLE_USER, parts: [part], metadata: undefined,
      extensions: [], referenceTaskIds: [], ...message,
    },
    configuration: {
      acceptedOutputModes: [], taskPushNotificationConfig: config, returnImmediately: !wait,
    },
  };
}

async function taskOf(text, more) {
  const answer = await client.sendMessage(request(text, more));
  return answer.payload?.value ?? answer;
}

for (const word of ['complete', 'fail', 'reject']) seen[word] = nameOf((await taskOf(word)).status.state);
seen.parts = partsOf(await taskOf('parts'));

const events = [];
for await (const event of client.sendMessageStream(request('stream'))) events.push(event.payload);
seen.events = [events[0].$case, ...events.slice(-2).map((event) => event.$case)];
seen.streamed = events.at(-2).value.artifact.parts[0].content.value;

const asked = await taskOf('ask me');
seen.asked = nameOf(asked.status.state);
const greeted = await taskOf('Ann', { taskId: asked.id, contextId: asked.contextId });
seen.greeted = [nameOf(greeted.status.state), textOf(greeted)];

const slow = await taskOf('slow', { wait: false });
const subscribed = client.resubscribeTask({ tenant: '', id: slow.id });
seen.first = (await subscribed.next()).value.payload.$case;
seen.canceled = nameOf((await client.cancelTask({ tenant: '', id: slow.id, metadata: undefined })).status.state);
let last;
for await (const event of subscribed) last = event.payload;
seen.last = nameOf(last.value.status.state);
seen.got = nameOf((await client.getTask({ tenant: '', id: slow.id })).status.state);

try {
  const page = await client.listTasks({
    tenant: '', contextId: '', status: TaskState.TASK_STATE_CANCELED, pageSize: 5, pageToken: '',
    statusTimestampAfter: undefined, includeArtifacts: false,
  });
  seen.listed = page.tasks.map((task) => task.id).includes(slow.id);
} catch (error) {
  seen.listed = String(error.message);
}

// Push notifications: the end of a task reaches the receiver.
const received = [];
let arrived;
const whole = new Promise((resolve) => { arrived = resolve; });
const hook = createServer((incoming, answer) => {
  let text = '';
  incoming.on('data', (chunk) => { text += chunk; });
  incoming.on('end', () => {
    const body = JSON.parse(text);
    received.push({ token: incoming.headers['x-a2a-notification-token'], body });
    answer.end();
    if (text.toLowerCase().includes('canceled')) arrived();
  });
});
await new Promise((resolve) => { hook.listen(options.hook, '127.0.0.1', resolve); });
const pushed = await taskOf('slow', { wait: false });
const config = {
  tenant: '', id: 'mine', taskId: pushed.id, url: `http://127.0.0.1:${options.hook}/`, token: 's3cret',
  authentication: undefined,
};
const stored = await client.createTaskPushNotificationConfig(config);
const about = { tenant: '', taskId: pushed.id, id: stored.id };
seen.stored = [stored.id, (await client.getTaskPushNotificationConfig(about)).url === config.url];
const configs = await client.listTaskPushNotificationConfig({ tenant: '', taskId: pushed.id, pageSize: 0, pageToken: '' });
seen.configs = configs.configs.length;
await client.cancelTask({ tenant: '', id: pushed.id, metadata: undefined });
await whole;
seen.tokens = [...new Set(received.map((each) => each.token))];
await client.deleteTaskPushNotificationConfig(about);
try {
  await client.getTaskPushNotificationConfig(about);
} catch (error) {
  seen.gone = error.name;
}
hook.close();
console.log(JSON.stringify(seen));
process.exit(0);

# mypy: ignore-errors
# It runs in an environment of its own.
"""The official client of A2A 1.0 against the fixture. The argument is JSON: url (of the agent), and binding (of the
interface to use). The last line printed is JSON: what each step of a client's life returned."""

import asyncio
import http.server
import json
import queue
import sys
import threading
import uuid

import httpx
import jwt
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    AuthenticationInfo,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import TaskNotFoundError
from a2a.utils.signing import create_signature_verifier
from google.protobuf import json_format

OPTIONS = json.loads(sys.argv[1])
SEEN = {}


def request(text, skill="behave", wait=True, **message):
    said = Message(message_id=str(uuid.uuid4()), role=Role.ROLE_USER, parts=[Part(text=text)], **message)
    configuration = SendMessageConfiguration(return_immediately=not wait)
    sent = SendMessageRequest(message=said, configuration=configuration)
    if skill:
        sent.metadata["skill"] = skill
    return sent


class Receiver:
    """A webhook on this machine: what was posted, in order."""

    def __init__(self):
        posted = self.posted = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posted.put((dict(self.headers), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    async def next(self):
        return await asyncio.to_thread(self.posted.get, timeout=30)


async def all_of(stream):
    return [item async for item in stream]


def state(task):
    return TaskState.Name(task.status.state)


async def main():
    async with httpx.AsyncClient(timeout=60) as client:
        # It reads cards as protobuf, and finds the key by the URL in the signature.
        keys = jwt.PyJWKSet.from_dict((await client.get(f"{OPTIONS['url']}/a2a/.well-known/jwks.json")).json())
        verify = create_signature_verifier(lambda kid, jku: keys[kid], ["ES256"])
        for path in ("/.well-known/agent-card.json", "/a2a/.well-known/agent-card.json"):
            resolver = A2ACardResolver(client, OPTIONS["url"], path)
            await resolver.get_agent_card(signature_verifier=verify)
        SEEN["verified"] = True

        common = {"httpx_client": client, "supported_protocol_bindings": [OPTIONS["binding"]]}
        streaming = await ClientFactory(ClientConfig(**common, streaming=True)).create_from_url(OPTIONS["url"])
        plain = await ClientFactory(ClientConfig(**common, streaming=False)).create_from_url(OPTIONS["url"])

        [answer] = await all_of(plain.send_message(request("complete please")))
        SEEN["completed"] = state(answer.task)
        SEEN["data"] = dict(answer.task.artifacts[0].parts[0].data.struct_value)["completed"]
        [answer] = await all_of(plain.send_message(request("fail")))
        SEEN["failed"] = state(answer.task)
        [answer] = await all_of(plain.send_message(request("reject")))
        SEEN["rejected"] = state(answer.task)
        [answer] = await all_of(plain.send_message(request("parts")))
        SEEN["parts"] = [part.WhichOneof("content") for part in answer.task.artifacts[0].parts]

        events = await all_of(streaming.send_message(request("stream")))
        SEEN["events"] = [event.WhichOneof("payload") for event in events]
        SEEN["text"] = events[-2].artifact_update.artifact.parts[0].text

        [answer] = await all_of(plain.send_message(request("ask me")))
        SEEN["asked"] = state(answer.task)
        [answer] = await all_of(plain.send_message(request("Ann", "", task_id=answer.task.id)))
        SEEN["greeted"] = answer.task.artifacts[0].parts[0].text
        SEEN["history"] = len(answer.task.history)

        [answer] = await all_of(plain.send_message(request("slow", wait=False)))
        task_id = answer.task.id
        subscribed = streaming.subscribe(SubscribeToTaskRequest(id=task_id))
        SEEN["first"] = (await anext(subscribed)).WhichOneof("payload")
        canceled = await plain.cancel_task(CancelTaskRequest(id=task_id))
        SEEN["canceled"] = state(canceled)
        last = [item async for item in subscribed][-1]
        SEEN["last"] = TaskState.Name(last.status_update.status.state)
        SEEN["got"] = state(await plain.get_task(GetTaskRequest(id=task_id)))

        receiver = Receiver()
        told = TaskPushNotificationConfig(
            id="mine",
            url=receiver.url,
            token="t0ken",
            authentication=AuthenticationInfo(scheme="Bearer", credentials="s3cret"),
        )
        sent = request("complete", wait=False)
        sent.configuration.task_push_notification_config.CopyFrom(told)
        [answer] = await all_of(plain.send_message(sent))
        SEEN["pushed"] = []
        while SEEN["pushed"][-1:] != ["TASK_STATE_COMPLETED"]:
            headers, body = await receiver.next()
            event = json_format.Parse(body, StreamResponse())
            kind = event.WhichOneof("payload")
            pushed = getattr(event, kind)
            assert pushed.task_id == answer.task.id
            SEEN["pushed"].append(TaskState.Name(pushed.status.state) if kind == "status_update" else kind)
            names = ("Content-Type", "Authorization", "X-A2A-Notification-Token")
            SEEN["headers"] = [headers.get(name) for name in names]
        named = {"task_id": answer.task.id, "id": "mine"}
        found = await plain.get_task_push_notification_config(GetTaskPushNotificationConfigRequest(**named))
        listed = await plain.list_task_push_notification_configs(
            ListTaskPushNotificationConfigsRequest(task_id=answer.task.id)
        )
        await plain.delete_task_push_notification_config(DeleteTaskPushNotificationConfigRequest(**named))
        SEEN["config"] = [found.url == receiver.url, found.token, found.authentication.credentials, len(listed.configs)]

        canceled = ListTasksRequest(page_size=1, status=TaskState.TASK_STATE_CANCELED)
        SEEN["newest"] = (await plain.list_tasks(canceled)).tasks[0].id == task_id
        listed, asked = [], ListTasksRequest(page_size=3, include_artifacts=True, history_length=1)
        while not listed or asked.page_token:
            page = await plain.list_tasks(asked)
            listed += page.tasks
            asked.page_token = page.next_page_token
        SEEN["listed"] = len({task.id for task in listed}) == len(listed) == page.total_size
        SEEN["artifacts"] = any(task.artifacts for task in listed)
        try:
            await plain.get_task(GetTaskRequest(id="nobody"))
        except TaskNotFoundError as error:
            SEEN["unknown"] = str(error)
    print(json.dumps(SEEN))


asyncio.run(main())

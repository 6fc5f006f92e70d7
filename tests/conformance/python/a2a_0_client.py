# mypy: ignore-errors
# It runs in an environment of its own.
"""The official client of A2A 0.3 against the fixture. The argument is JSON: url (of the agent) and binding. The last
line printed is JSON: what each step of a client's life returned."""

import asyncio
import http.server
import json
import queue
import sys
import threading
import uuid

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    GetTaskPushNotificationConfigParams,
    Message,
    Part,
    PushNotificationAuthenticationInfo,
    PushNotificationConfig,
    Role,
    Task,
    TaskIdParams,
    TaskPushNotificationConfig,
    TaskQueryParams,
    TextPart,
)

OPTIONS = json.loads(sys.argv[1])
SEEN = {}


def message(text, skill="behave", **more):
    part = Part(root=TextPart(text=text))
    return Message(message_id=str(uuid.uuid4()), role=Role.user, parts=[part], metadata={"skill": skill}, **more)


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


async def last_of(stream):
    items = [item async for item in stream]
    task, _ = items[-1]
    return task, items


async def main():
    async with httpx.AsyncClient(timeout=60) as client:
        card = await A2ACardResolver(client, OPTIONS["url"]).get_agent_card()
        SEEN["skills"] = [skill.id for skill in card.skills]
        plain, streaming = [
            ClientFactory(
                ClientConfig(
                    httpx_client=client,
                    streaming=streams,
                    supported_transports=[OPTIONS["binding"]],
                    use_client_preference=True,
                )
            ).create(card)
            for streams in (False, True)
        ]

        for word in ("complete", "fail", "reject"):
            task, _ = await last_of(plain.send_message(message(word)))
            SEEN[word] = task.status.state.value
        task, _ = await last_of(plain.send_message(message("parts")))
        SEEN["parts"] = [part.root.kind for part in task.artifacts[0].parts]

        task, items = await last_of(streaming.send_message(message("stream")))
        SEEN["streamed"] = task.status.state.value
        SEEN["events"] = len(items)

        task, _ = await last_of(plain.send_message(message("ask me")))
        SEEN["asked"] = task.status.state.value
        task, _ = await last_of(plain.send_message(message("Ann", task_id=task.id, context_id=task.context_id)))
        SEEN["greeted"] = task.artifacts[0].parts[0].root.text

        begun = streaming.send_message(message("slow"))
        task, _ = await anext(begun)
        again = streaming.resubscribe(TaskIdParams(id=task.id))
        first, _ = await anext(again)
        SEEN["resubscribed"] = first.id == task.id
        await again.aclose()
        canceled = await plain.cancel_task(TaskIdParams(id=task.id))
        SEEN["canceled"] = canceled.status.state.value
        await begun.aclose()
        SEEN["got"] = (await plain.get_task(TaskQueryParams(id=task.id))).status.state.value

        receiver = Receiver()
        task, _ = await last_of(plain.send_message(message("ask me")))
        schemes = PushNotificationAuthenticationInfo(schemes=["Bearer"], credentials="s3cret")
        config = PushNotificationConfig(url=receiver.url, token="t0ken", authentication=schemes)
        told = TaskPushNotificationConfig(task_id=task.id, push_notification_config=config)
        made = await plain.set_task_callback(told)
        # Over HTTP+JSON the configuration stands in the path.
        named = made.push_notification_config.id if OPTIONS["binding"] == "HTTP+JSON" else None
        asked = GetTaskPushNotificationConfigParams(id=task.id, push_notification_config_id=named)
        found = await plain.get_task_callback(asked)
        SEEN["config"] = [made.push_notification_config.url == receiver.url, found == made]
        await last_of(plain.send_message(message("Ann", task_id=task.id, context_id=task.context_id)))
        SEEN["pushed"] = []
        while SEEN["pushed"][-1:] != ["completed"]:
            headers, body = await receiver.next()
            # What the SDK's own sender posts, and so its receivers parse, is a Task.
            pushed = Task.model_validate_json(body)
            assert pushed.id == task.id
            SEEN["pushed"].append(pushed.status.state.value)
            SEEN["headers"] = [headers.get("X-A2A-Notification-Token"), headers.get("Authorization")]
        SEEN["pushed_artifact"] = pushed.artifacts[0].parts[0].root.text
    print(json.dumps(SEEN))


asyncio.run(main())

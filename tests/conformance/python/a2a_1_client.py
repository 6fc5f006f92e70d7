# mypy: ignore-errors
# It runs in an environment of its own.
"""The official client of A2A 1.0 against the fixture. The argument is JSON: url (of the agent). The last line printed
is JSON: what each step of a client's life returned."""

import asyncio
import json
import sys
import uuid

import httpx
import jwt
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskState,
)
from a2a.utils.signing import create_signature_verifier

OPTIONS = json.loads(sys.argv[1])
SEEN = {}


def request(text, skill="behave", wait=True, **message):
    said = Message(message_id=str(uuid.uuid4()), role=Role.ROLE_USER, parts=[Part(text=text)], **message)
    configuration = SendMessageConfiguration(return_immediately=not wait)
    sent = SendMessageRequest(message=said, configuration=configuration)
    if skill:
        sent.metadata["skill"] = skill
    return sent


async def all_of(stream):
    return [item async for item in stream]


def state(task):
    return TaskState.Name(task.status.state)


async def main():
    async with httpx.AsyncClient(timeout=60) as http:
        # It reads cards as protobuf, and finds the key by the URL in the signature.
        keys = jwt.PyJWKSet.from_dict((await http.get(f"{OPTIONS['url']}/a2a/.well-known/jwks.json")).json())
        verify = create_signature_verifier(lambda kid, jku: keys[kid], ["ES256"])
        for path in ("/.well-known/agent-card.json", "/a2a/.well-known/agent-card.json"):
            resolver = A2ACardResolver(http, OPTIONS["url"], path)
            await resolver.get_agent_card(signature_verifier=verify)
        SEEN["verified"] = True

        factory = ClientFactory(ClientConfig(httpx_client=http, streaming=True))
        streaming = await factory.create_from_url(OPTIONS["url"])
        plain = await ClientFactory(ClientConfig(httpx_client=http, streaming=False)).create_from_url(OPTIONS["url"])

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
    print(json.dumps(SEEN))


asyncio.run(main())

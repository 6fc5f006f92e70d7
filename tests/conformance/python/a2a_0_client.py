# mypy: ignore-errors
# It runs in an environment of its own.
"""The official client of A2A 0.3 against the fixture. The argument is JSON: url (of the agent). The last line printed
is JSON: what each step of a client's life returned."""

import asyncio
import json
import sys
import uuid

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import Message, Part, Role, TaskIdParams, TaskQueryParams, TextPart

OPTIONS = json.loads(sys.argv[1])
SEEN = {}


def message(text, skill="behave", **more):
    part = Part(root=TextPart(text=text))
    return Message(message_id=str(uuid.uuid4()), role=Role.user, parts=[part], metadata={"skill": skill}, **more)


async def last_of(stream):
    items = [item async for item in stream]
    task, _ = items[-1]
    return task, items


async def main():
    async with httpx.AsyncClient(timeout=60) as http:
        card = await A2ACardResolver(http, OPTIONS["url"]).get_agent_card()
        SEEN["skills"] = [skill.id for skill in card.skills]
        plain = ClientFactory(ClientConfig(httpx_client=http, streaming=False)).create(card)
        streaming = ClientFactory(ClientConfig(httpx_client=http, streaming=True)).create(card)

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
        canceled = await plain.cancel_task(TaskIdParams(id=task.id))
        SEEN["canceled"] = canceled.status.state.value
        await begun.aclose()
        SEEN["got"] = (await plain.get_task(TaskQueryParams(id=task.id))).status.state.value
    print(json.dumps(SEEN))


asyncio.run(main())

"""The A2A SDK's own server with an executor that echoes: `a2a_app.py PORT`. A message that says `stream` gets twenty
chunks first."""
# mypy: ignore-errors
# It runs in an environment of its own.

import sys

import uvicorn
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, Task, TaskState, TaskStatus
from starlette.applications import Starlette

CHUNKS = 20


class Echo(AgentExecutor):
    """Completes each task with the text that it got."""

    async def execute(self, context, event_queue) -> None:
        status = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
        task = Task(id=context.task_id, context_id=context.context_id, status=status, history=[context.message])
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work()
        text = context.get_user_input()
        if text == "stream":
            for number in range(CHUNKS):
                part = Part(text=f"token {number} ")
                await updater.add_artifact([part], artifact_id="result", append=number > 0, last_chunk=False)
        await updater.add_artifact([Part(text=text)], artifact_id="result", last_chunk=True)
        await updater.complete()

    async def cancel(self, context, event_queue) -> None:
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def application(port):
    """JSON-RPC at /a2a/, and the card."""
    interface = AgentInterface(url=f"http://127.0.0.1:{port}/a2a/", protocol_binding="JSONRPC", protocol_version="1.0")
    skills = [
        AgentSkill(id=f"skill_{number:02d}", name="Echo", description="Says what it hears.", tags=["echo"])
        for number in range(CHUNKS)
    ]
    card = AgentCard(
        name="peer",
        description="Echoes.",
        version="1",
        supported_interfaces=[interface],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=skills,
    )
    handler = DefaultRequestHandler(agent_executor=Echo(), task_store=InMemoryTaskStore(), agent_card=card)
    routes = [*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/a2a/")]
    return Starlette(routes=routes)


if __name__ == "__main__":
    chosen = int(sys.argv[1])
    uvicorn.run(application(chosen), host="127.0.0.1", port=chosen, log_level="error", access_log=False)

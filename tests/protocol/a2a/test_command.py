"""`asya a2a` against the gateway, and against agents of others."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from typer.testing import CliRunner, Result

from asya_cli.errors import CliError, ExitCode
from asya_cli.main import app
from servers.ports import free_port
from tests.support.a2a import SKILLS
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import Actor, serve_tools
from tests.support.principals import Tokens, closed

FIELDS = [{"name": "sure", "type": "boolean"}]
Json = dict[str, Any]


async def run(url: str, *words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["a2a", *words, "--url", url])


@asynccontextmanager
async def agent(card: Json, answer: Callable[[web.Request, Json], Awaitable[Any]] | None = None) -> AsyncIterator[str]:
    """An agent of somebody else; its URL. `card` gets its URL where it says URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    async def get_card(_: web.Request) -> web.Response:
        return web.Response(text=json.dumps(card).replace("URL", url), content_type="application/json")

    async def post(request: web.Request) -> web.StreamResponse:
        assert answer is not None
        made = await answer(request, await request.json())
        return made if isinstance(made, web.StreamResponse) else web.json_response(made)

    application = web.Application()
    application.router.add_get("/.well-known/agent.json", get_card)
    application.router.add_post("/{path:.*}", post)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield url
    finally:
        await runner.cleanup()


async def test_a_message_is_streamed_and_its_result_printed(gateway: Gateway, actor: Actor) -> None:
    sending = asyncio.create_task(run(gateway.url, "send", "tell", "--skill", "echo", "--context", "chat"))
    task_id, sent = await actor.take()
    assert sent["payload"]["query"] == "tell"
    await actor.report(task_id, "received", message="on it")
    await actor.end(task_id, result={"n": 2**60 + 1})
    done = await sending
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"n": 2**60 + 1})
    assert "on it" in done.stderr
    assert f"task {task_id} completed (context chat)" in done.stderr
    watched = await run(gateway.url, "watch", task_id)
    assert json.loads(watched.stdout) == {"n": 2**60 + 1}


async def test_a_question_ends_with_the_command_that_answers_it(gateway: Gateway, actor: Actor) -> None:
    sending = asyncio.create_task(run(f"{gateway.url}/a2a/echo", "send", "buy"))
    task_id, _ = await actor.take()
    await actor.report(task_id, "paused", pause_metadata={"prompt": "Buy it?", "fields": FIELDS})
    done = await sending
    assert done.exit_code == ExitCode.WAITING
    assert "Buy it?" in done.stderr
    assert f"asya a2a send --task {task_id}" in done.stderr
    sending = asyncio.create_task(run(gateway.url, "send", "--task", task_id, "--data", '{"sure": true}'))
    _, sent = await actor.take()
    assert sent["payload"] == {"sure": True}
    await actor.end(task_id, "failed", error="no money")
    done = await sending
    assert (done.exit_code, " failed (context " in done.stderr, "no money" in done.stderr) == (
        ExitCode.FAILED,
        True,
        True,
    )


async def test_http_json_is_spoken_where_a_card_lists_nothing_else(gateway: Gateway, actor: Actor) -> None:
    listed = {"url": f"{gateway.url}/a2a", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}
    listed["tenant"] = "echo"
    card = {"name": "rest", "capabilities": {"streaming": True}, "supportedInterfaces": [listed]}
    async with agent(card) as url:
        sending = asyncio.create_task(run(url, "send", "hi"))
        task_id, _ = await actor.take()
        await actor.end(task_id, result="done")
        done = await sending
        assert (done.exit_code, done.stdout) == (0, "done\n"), done.stderr
        watched = await run(url, "watch", task_id, "--json")
        assert json.loads(watched.stdout)["task"]["id"] == task_id
        none = await run(url, "watch", "none")
        assert isinstance(none.exception, CliError)
        assert none.exception.message == "the agent says: Task not found: none"


async def test_an_agent_of_0_3_is_spoken_to_in_its_own_words() -> None:
    seen: list[Json] = []

    async def answer(request: web.Request, body: Json) -> Json:
        seen.append({"version": request.headers["A2A-Version"], **body})
        part = {"kind": "text", "text": "hi \x1b[31m"}
        status = {"state": "completed"}
        made: Json = {"kind": "task", "id": "t", "contextId": "c", "status": status}
        made["artifacts"] = [{"artifactId": "a", "parts": [part]}]
        return {"jsonrpc": "2.0", "id": body["id"], "result": made}

    async with agent({"name": "old", "url": "URL/rpc", "protocolVersion": "0.3.0"}, answer) as url:
        done = await run(url, "send", "hello", "--return-immediately")
        assert (done.exit_code, json.loads(done.stdout)) == (0, "hi \x1b[31m")
        assert "\x1b" not in done.output
    assert (seen[0]["version"], seen[0]["method"]) == ("0.3", "message/send")
    assert seen[0]["params"]["message"]["parts"] == [{"kind": "text", "text": "hello"}]
    assert seen[0]["params"]["configuration"] == {"blocking": False}


async def test_an_agent_that_does_not_know_1_0_after_all_is_asked_again_in_0_3() -> None:
    methods = []

    async def answer(_: web.Request, body: Json) -> Json:
        methods.append(body["method"])
        if body["method"] == "SendMessage":
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "Method not found"}}
        said = {"kind": "message", "messageId": "m", "role": "agent", "parts": [{"kind": "text", "text": "hi"}]}
        return {"jsonrpc": "2.0", "id": 1, "result": said}

    listed = [{"url": "URL/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]
    async with agent({"name": "odd", "supportedInterfaces": listed}, answer) as url:
        done = await run(url, "send", "hello")
    assert (done.exit_code, done.stdout, methods) == (0, "hi\n", ["SendMessage", "message/send"])


async def test_a_task_is_shown_listed_and_canceled(gateway: Gateway, actor: Actor) -> None:
    ids = []
    for text in ("one", "two"):
        sent = await run(gateway.url, "send", text, "--skill", "echo", "--context", text, "--return-immediately")
        assert sent.exit_code == 0, sent.stderr
        ids.append((await actor.take())[0])
    await actor.report(ids[0], "paused", pause_metadata={"prompt": "Sure?", "fields": FIELDS})
    shown = await run(gateway.url, "get", ids[0])
    assert (shown.exit_code, shown.stdout, "Sure?" in shown.stderr) == (0, "", True)
    canceled = await run(gateway.url, "cancel", ids[1])
    assert (canceled.exit_code, f"task {ids[1]} is canceled" in canceled.stderr) == (0, True)
    again = await run(gateway.url, "cancel", ids[1])
    assert isinstance(again.exception, CliError)
    listed = await run(gateway.url, "list")
    lines = [line.split() for line in listed.stdout.splitlines()[1:]]
    assert [(line[0], line[1], line[-1]) for line in lines] == [
        (ids[1], "canceled", "two"),
        (ids[0], "input", "one"),
    ]
    for words in (("--status", "input-required"), ("--status", "TASK_STATE_INPUT_REQUIRED"), ("--context", "one")):
        found = json.loads((await run(gateway.url, "list", *words, "--json")).stdout)
        assert [task["id"] for task in found["tasks"]] == [ids[0]]
    first = await run(gateway.url, "list", "--limit", "1")
    [cursor] = [line.partition("--cursor ")[2] for line in first.stderr.splitlines() if "--cursor" in line]
    second = json.loads((await run(gateway.url, "list", "--cursor", cursor, "--json")).stdout)
    assert [task["id"] for task in second["tasks"]] == [ids[0]]
    assert "no tasks" in (await run(gateway.url, "list", "--context", "none")).stderr


async def test_tasks_are_listed_and_canceled_over_http_json_and_in_0_3(gateway: Gateway, actor: Actor) -> None:
    url, skill = f"{gateway.url}/a2a", "echo"
    rest = {"url": url, "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0", "tenant": skill}
    cards: tuple[Json, ...] = (
        {"name": "rest", "supportedInterfaces": [rest]},
        {"name": "old", "url": f"{url}/{skill}", "protocolVersion": "0.3.0"},
    )
    for number, card in enumerate(cards):
        async with agent(card) as at:
            context = f"c {number}"
            sent = await run(at, "send", "hi", "--context", context, "--return-immediately")
            assert sent.exit_code == 0, sent
            task_id, _ = await actor.take()
            options = ("--context", context, "--status", "submitted", "--json")
            page = json.loads((await run(at, "list", *options)).stdout)
            assert [(each["id"], each["status"]["state"]) for each in page["tasks"]] == [
                (task_id, "TASK_STATE_SUBMITTED")
            ]
            ended = json.loads((await run(at, "cancel", task_id, "--json")).stdout)
            assert (ended["id"], ended["status"]["state"]) == (task_id, "TASK_STATE_CANCELED")
            assert json.loads((await run(at, "get", task_id, "--json")).stdout)["status"] == ended["status"]


async def test_parts_that_are_none_of_a2a_are_told_beside_the_result(gateway: Gateway, actor: Actor) -> None:
    result = {"parts": [{"kind": "file", "file": {"uri": "https://files.example/a"}}]}
    sending = asyncio.create_task(run(gateway.url, "send", "tell", "--skill", "echo"))
    task_id, _ = await actor.take()
    await actor.end(task_id, result=result)
    for done in (await sending, await run(gateway.url, "get", task_id)):
        assert json.loads(done.stdout) == result
        assert "are none of A2A and shown as data: parts[0]: expected exactly one of" in done.stderr.replace("\n", " ")


async def test_a_token_goes_to_the_named_origin_only() -> None:
    tokens: dict[str, str | None] = {}

    async def answer(request: web.Request, _: Json) -> Json:
        tokens["interface"] = request.headers.get("Authorization")
        return {"jsonrpc": "2.0", "id": 1, "result": {"message": {"parts": [{"text": "hi"}]}}}

    def listing(url: str) -> Json:
        return {
            "name": "split",
            "supportedInterfaces": [{"url": f"{url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        }

    async with agent(listing("URL"), answer) as other, agent(listing(other)) as url:
        assert (await run(url, "send", "x", "--token", "secret")).exit_code == 0
        assert tokens == {"interface": None}
        assert (await run(other, "send", "x", "--token", "secret")).exit_code == 0
        assert tokens == {"interface": "Bearer secret"}


async def test_what_is_no_agent_is_told_in_one_line() -> None:
    async def answer(_: web.Request, body: Json) -> Any:
        if body["method"] == "SendMessage":
            return web.Response(text="<html>")
        return {"jsonrpc": "2.0"}

    listed = [{"url": "URL/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]
    async with agent({"name": "odd", "supportedInterfaces": listed}, answer) as url:
        for words, told in (
            (["send", "x"], "expected JSON, got 200 text/plain"),
            (["watch", "t"], "no JSON-RPC response"),
            (["card", "--url", f"{url}/nothing.json"], "no agent card at"),
        ):
            done = await run(url, *words) if words[0] != "card" else await run(f"{url}/nothing.json", "card")
            assert isinstance(done.exception, CliError)
            assert told in done.exception.message
    nobody = await run(f"http://127.0.0.1:{free_port()}", "card")
    assert isinstance(nobody.exception, CliError)
    assert nobody.exception.code is ExitCode.UNREACHABLE


async def test_a_card_is_a_table_or_its_json(gateway: Gateway) -> None:
    shown = await run(gateway.url, "card")
    for word in ("JSONRPC 1.0", "HTTP+JSON 1.0", "streaming", "echo", "Says it again."):
        assert word in shown.stdout
    printed = json.loads((await run(f"{gateway.url}/a2a/texts", "card", "--json")).stdout)
    assert [skill["id"] for skill in printed["skills"]] == ["texts"]


async def test_a_stream_that_ends_before_the_answer_is_no_success() -> None:
    card: Json = {"supportedInterfaces": [{"url": "URL/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]}
    card |= {"name": "cut", "capabilities": {"streaming": True}}
    working = {"statusUpdate": {"contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}}
    for said, expected in ((None, "before it said anything"), (working, "named no task")):

        async def cut(request: web.Request, body: Json, said: Any = said) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            if said is not None:
                event = json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": said})
                await response.write(f"data: {event}\n\n".encode())
            return response

        async with agent(card, cut) as url:
            done = await run(url, "send", "hi")
        assert isinstance(done.exception, CliError)
        assert expected in str(done.exception)


async def test_a_refusal_names_what_is_missing_and_what_there_is(database_url: str) -> None:
    tokens = Tokens(reader="mcp:read", alice="mcp:read mcp:invoke")
    async with start_gateway(database_url, doors=closed(tokens)) as made:
        serve_tools(made, [])
        none = await run(made.url, "card")
        assert str(none.exception) == f"no agent card at {made.url}: no flow here has an a2a block"
        serve_tools(made, SKILLS, generation=2)
        refused = await run(made.url, "send", "hi", "--skill", "echo", "--token", "reader")
        assert "mcp:invoke; you hold mcp:read: a key gives them" in str(refused.exception)
        unnamed = await run(made.url, "send", "hi", "--token", "alice")
        assert str(unnamed.exception).endswith("(option --skill)")
        unknown = await run(made.url, "send", "hi", "--skill", "nope", "--token", "alice")
        assert "; it has: " in str(unknown.exception)
        assert "echo" in str(unknown.exception)
        elsewhere = await run(f"{made.url}/a2a/nope", "card")
        assert elsewhere.exit_code == 0
        assert f"no agent card below {made.url}/a2a/nope; using that of its host" in elsewhere.stderr.replace("\n", " ")

"""`asya task retry` against a gateway."""

import asyncio
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from asya_cli.errors import CliError
from asya_cli.main import app
from tests.support.gateway import Gateway


async def run(gateway: Gateway, *words: str, stdin: str | None = None) -> Result:
    arguments = ["task", "retry", *words, "--url", gateway.url]
    return await asyncio.to_thread(CliRunner().invoke, app, arguments, input=stdin)


async def test_an_ended_task_is_run_again_with_the_same_payload_or_another(gateway: Gateway) -> None:
    old = await gateway.submit("shout", {"text": "hi"})
    await gateway.finish(old)
    payloads: list[Any] = []
    for words, stdin in ((["--no-wait"], None), (["--payload", "@-", "--no-wait"], '{"text": "ho"}')):
        done = await run(gateway, old, *words, stdin=stdin)
        assert done.exit_code == 0, done.output
        _, task = await gateway.get(f"/tasks/{done.stdout.strip()}")
        assert task["retry_of"] == old
        payloads.append(task["payload"])
    assert payloads == [{"text": "hi"}, {"text": "ho"}]


@pytest.mark.parametrize(
    ("words", "told"), [([], "expected a task that has ended"), (["--payload", "{"], "--payload: expected JSON")]
)
async def test_what_cannot_be_run_again_is_told_in_one_line(gateway: Gateway, words: list[str], told: str) -> None:
    done = await run(gateway, await gateway.submit(), *words)
    assert isinstance(done.exception, CliError)
    assert told in done.exception.message
    assert await gateway.stored() == 1

"""The client of SQS: credentials that come later, and connections beside long polls."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from asya_transports.port import TransportUnavailable
from asya_transports.sqs.client import REPEATABLE, SqsClient
from asya_transports.sqs.settings import SqsSettings
from tests.support.waiting import until

POLLS = 100
"""More than one worker's actors have, and more connections than most drivers allow by default."""


@pytest.fixture(autouse=True)
def nowhere_to_find_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, nowhere_to_find_credentials: None) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.fixture
async def silent() -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """A server that answers nothing: its URL, and its connections."""
    connections: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0, backlog=POLLS)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
    for writer in connections:
        writer.close()
    server.close()


async def test_credentials_that_come_later_are_found_by_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    client = SqsClient(SqsSettings(endpoint="http://127.0.0.1:9"))
    for _ in range(2):
        with pytest.raises(TransportUnavailable, match="Unable to locate credentials"):
            await client.poll("url", 1, 1)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(TransportUnavailable, match="Could not connect"):
        await client.poll("url", 1, 1)
    await client.close()


@pytest.mark.usefixtures("credentials")
async def test_a_hundred_long_polls_leave_a_connection_for_everything_else(
    silent: tuple[str, list[asyncio.StreamWriter]],
) -> None:
    url, connections = silent
    client = SqsClient(SqsSettings(endpoint=url))
    polls = [asyncio.create_task(client.poll("url", 1, 20)) for _ in range(POLLS)]
    other = asyncio.create_task(client.call("get_queue_url", 20, QueueName="asya-n-worker"))
    await until(lambda: len(connections) == POLLS + 1, 10, "a connection for each")
    for task in (*polls, other):
        task.cancel()
    await asyncio.gather(*polls, other, return_exceptions=True)
    await client.close()


ONCE = ("receive_message", "send_message_batch")
"""What came twice: messages that nobody gets, and messages that everybody gets twice."""


class Closing:
    """A driver whose connection is closed under the first request."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, operation: str) -> Any:
        async def ask(**_: Any) -> dict[str, Any]:
            self.asked.append(operation)
            if len(self.asked) == 1:
                raise ConnectionClosedError(endpoint_url="http://sqs")
            return {}

        return ask


@pytest.mark.parametrize("operation", [*sorted(REPEATABLE), *ONCE])
async def test_a_request_whose_connection_was_closed_is_repeated_once_if_it_may_arrive_twice(
    operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Closing()

    async def opened(_: object) -> Closing:
        return driver

    monkeypatch.setattr(SqsClient, "_opened", opened)
    client = SqsClient(SqsSettings())
    if operation in ONCE:
        with pytest.raises(TransportUnavailable, match="Connection was closed"):
            await client.call(operation)
    else:
        await client.call(operation)
    assert driver.asked == [operation] * (1 if operation in ONCE else 2)

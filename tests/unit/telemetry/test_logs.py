"""Log lines: JSON or text, with identifiers, without credentials."""

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp.http_exceptions import BadHttpMethod

from asya_crds.masking import masked
from asya_gateway.domain.identity.key_text import new_key
from asya_gateway.domain.oauth.secrets import (
    CLIENT_PREFIX,
    CLIENT_SECRET_PREFIX,
    CODE_PREFIX,
    REFRESH_PREFIX,
    new_client_id,
    new_secret,
)
from asya_gateway.exposition.logs import configure_logs
from asya_gateway.telemetry.context import about, begin
from asya_transports.known import DESCRIPTIONS

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"

DRIVERS = [driver for each in DESCRIPTIONS.values() for driver in each.drivers]
Configure = Callable[..., io.StringIO]


@pytest.fixture
def configured() -> Iterator[Configure]:
    """Logging as the program configures it, into text; what pytest had configured comes back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def configure(form: str = "json", level: str = "info") -> io.StringIO:
        stream = io.StringIO()
        configure_logs(form, level, "pod-1", stream)
        return stream

    yield configure
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    begin()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_secret_of_an_api_key_is_masked_and_its_id_is_not() -> None:
    key = new_key()
    said = masked(f"got {key.text}, and {key.text[:-3]}.")
    assert said == f"got asya_{key.id}_***, and asya_{key.id}_***."
    assert masked("asya_tasks_accepted asya_dev") == "asya_tasks_accepted asya_dev"
    for prefix in (CLIENT_PREFIX, REFRESH_PREFIX, CODE_PREFIX, CLIENT_SECRET_PREFIX):
        assert masked(f"{new_secret(prefix)}, {new_client_id()}.") == f"{prefix}***, {CLIENT_PREFIX}***."


def test_a_line_says_when_what_where_and_about_whom(configured: Configure) -> None:
    stream = configured()
    begin(f"00-{TRACE}-{SPAN}-01")
    about("task-1", "shout")
    logging.getLogger("asya_gateway.x").warning("took %d s", 3)

    (line,) = lines(stream)
    moment = line.pop("time")
    assert moment.endswith("Z")
    assert "T" in moment
    assert line == {
        "level": "warning",
        "logger": "asya_gateway.x",
        "message": "took 3 s",
        "pod": "pod-1",
        "task_id": "task-1",
        "flow": "shout",
        "trace_id": TRACE,
        "span_id": SPAN,
    }


def test_what_a_call_gives_beats_the_context(configured: Configure) -> None:
    stream = configured()
    begin()
    about("task-1")
    logging.getLogger("x").info("ended", extra={"task_id": "task-2", "size": 7})
    (line,) = lines(stream)
    assert (line["task_id"], line["size"]) == ("task-2", 7)


def test_a_new_request_forgets_the_one_before(configured: Configure) -> None:
    stream = configured()
    begin(f"00-{TRACE}-{SPAN}-01")
    about("task-1", "shout")
    begin()
    logging.getLogger("x").info("hello")
    (line,) = lines(stream)
    assert not {"task_id", "flow", "trace_id", "span_id"} & line.keys()


def test_a_traceback_is_one_field_of_one_line(configured: Configure) -> None:
    stream = configured()
    try:
        raise ValueError("line one\nline two, postgresql://u:hunter2@db/x")
    except ValueError:
        logging.getLogger("x").exception("it broke")
    (line,) = lines(stream)
    assert line["error"].startswith("Traceback")
    assert "ValueError: line one\nline two" in line["error"]
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("text", ["two\nlines", "\x00\x1b[31m", "\ud800", '{"a": 1}', "é漢"])
def test_whatever_a_message_holds_it_stays_one_line_of_json(configured: Configure, text: str) -> None:
    stream = configured()
    logging.getLogger("x").info("%s", text, extra={"odd": object()})
    (line,) = lines(stream)
    assert line["message"] == text


def test_text_lines_carry_the_task_and_hide_credentials(configured: Configure) -> None:
    stream = configured("text")
    begin()
    about("task-1", "shout")
    logging.getLogger("x").info("cannot reach amqp://guest:hunter2@mq:5672/")
    text = stream.getvalue()
    assert "info    x: cannot reach amqp://guest:***@mq:5672/ [task_id=task-1 flow=shout]" in text


def test_the_level_holds_for_us_and_debug_is_not_for_libraries(configured: Configure) -> None:
    stream = configured(level="debug")
    logging.getLogger("asya_gateway.x").debug("ours")
    for name in ("asyncio", *DRIVERS):
        logging.getLogger(f"{name}.y").debug("theirs")
    assert [line["message"] for line in lines(stream)] == ["ours"]

    stream = configured(level="warning")
    logging.getLogger("asya_gateway.x").info("quiet")
    for name in DRIVERS:
        logging.getLogger(name).info("theirs")
    assert lines(stream) == []


def test_a_request_that_is_no_http_leaves_no_traceback(configured: Configure) -> None:
    stream = configured()
    server = logging.getLogger("aiohttp.server")
    try:
        raise BadHttpMethod("XA")
    except BadHttpMethod:
        server.exception("Error handling request")
    server.error("of our own making")
    assert [line["message"] for line in lines(stream)] == ["of our own making"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://asya:s3cret@db:5432/asya", "postgresql://asya:***@db:5432/asya"),
        ("'amqp://guest:p@ss:w0rd@mq/vhost' is away", "'amqp://guest:***@mq/vhost' is away"),
        ("postgresql://:s3cret@/asya?host=/tmp", "postgresql://:***@/asya?host=/tmp"),
        (
            "postgresql://db/asya?user=a&password=s3cret&sslmode=require",
            "postgresql://db/asya?user=a&password=***&sslmode=require",
        ),
        ("host=db password=s3cret dbname=asya", "host=db password=*** dbname=asya"),
        ('{"password": "s3cret"}', '{"password": "***"}'),
        ("ASYA_MCP_API_KEY=s3cret", "ASYA_MCP_API_KEY=***"),
        ("PGPASSWORD=s3cret", "PGPASSWORD=***"),
        (r"host=db password='a b\'c' dbname=asya", "host=db password='***' dbname=asya"),
        ("password='never closed\nnext line", "password='***'\nnext line"),
        ("password='' user=a", "password='' user=a"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("http://127.0.0.1:8080/tasks/a@b", "http://127.0.0.1:8080/tasks/a@b"),
        ("listening on 0.0.0.0:8080, mode api", "listening on 0.0.0.0:8080, mode api"),
        ("bearer of news", "bearer of news"),
    ],
)
def test_credentials_are_hidden_and_nothing_else_is(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_a_long_text_is_searched_in_a_moment() -> None:
    text = "x://" + "a." * 200_000
    began = time.process_time()
    assert masked(text) == text
    assert time.process_time() - began < 5

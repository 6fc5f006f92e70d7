"""No program writes a credential or a control sequence into its log, whatever an error or a message quotes."""

import logging

import pytest

from asya_actor.telemetry import logs as worker
from asya_crds.readable import is_readable
from asya_gateway.exposition import logs as gateway
from asya_operator.app import ReadableLines

SECRETS = "postgresql://user:s3cr@db/asya, amqp://user:s3cr@mq, password=s3cr, Authorization: Bearer s3crs3crs3cr"


@pytest.mark.parametrize(
    "lines",
    [
        gateway.JsonLines("pod"),
        gateway.TextLines(),
        worker.JsonLines(),
        worker.TextLines(),
        ReadableLines("%(name)s %(message)s"),
    ],
    ids=lambda lines: f"{type(lines).__module__}.{type(lines).__name__}",
)
def test_credentials_are_hidden_and_control_sequences_are_escaped(lines: logging.Formatter) -> None:
    try:
        raise ConnectionError(f"cannot connect to {SECRETS}\x1b]0;title\x07")
    except ConnectionError as error:
        caught = (type(error), error, error.__traceback__)
    record = logging.LogRecord("n", logging.ERROR, __file__, 1, "tried %s\x1b[2J", (SECRETS,), caught)
    text = lines.format(record)
    assert "s3cr" not in text
    assert text.count("db/asya") == 2
    assert is_readable(text)

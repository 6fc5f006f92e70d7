"""The log on stdout: one line for each record, as JSON for machines or text for a terminal, without credentials."""

import json
import logging
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TextIO

from aiohttp.http_exceptions import HttpProcessingError
from typing_extensions import override

from asya_crds.masking import masked
from asya_crds.readable import readable
from asya_gateway.telemetry.context import current
from asya_transports.driver_logs import quiet_drivers

CHATTY = ("asyncio", "opentelemetry", "urllib3")
"""Loggers of libraries; their debug lines are not logged, nor are those of the drivers of queue systems."""

_PLAIN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


class JsonLines(logging.Formatter):
    """{time, level, logger, message, pod, task_id?, flow?, trace_id?, span_id?, error?, …}.

    `time` is RFC 3339 in UTC; `error` is the whole traceback as one string. Members of `extra` follow under their own
    names and override identifiers of the context.
    """

    def __init__(self, pod: str) -> None:
        super().__init__()
        self._pod = pod

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, whatever it contains."""
        fields: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
            "pod": self._pod,
            **_ids(),
            **{key: _shown(value) for key, value in _extra(record).items()},
        }
        if error := _error(self, record):
            fields["error"] = masked(error)
        return json.dumps(fields, default=str)


class TextLines(logging.Formatter):
    """`time level logger: message [task_id=… flow=…]`, with the traceback below it."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The record for a terminal."""
        said = {**_ids(), **_extra(record)}
        notes = " ".join(f"{key}={value}" for key, value in said.items() if key not in ("trace_id", "span_id"))
        line = f"{_time(record)} {record.levelname.lower():7} {record.name}: {record.getMessage()}"
        if notes:
            line += f" [{notes}]"
        if error := _error(self, record):
            line += f"\n{error}"
        return readable(masked(line))


class BrokenRequests(logging.Filter):
    """Drops records of aiohttp's parser about requests that are not HTTP. They were answered with 400, and any scanner
    could fill the log with tracebacks."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept; at debug all are."""
        error = record.exc_info[1] if record.exc_info else None
        theirs = isinstance(error, HttpProcessingError) and error.code < HTTPStatus.INTERNAL_SERVER_ERROR
        return not theirs or logging.getLogger().level <= logging.DEBUG


def configure_logs(form: str, level: str, pod: str, stream: TextIO | None = None) -> logging.Handler:
    """Send every record of this process to stdout. `form` is json or text, `level` one of logging's names.

    Replaces the previous configuration. Python's warnings also become records.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(TextLines() if form == "text" else JsonLines(pod))
    root = logging.getLogger()
    for former in tuple(root.handlers):
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.INFO))
    quiet_drivers()
    refusals = logging.getLogger("aiohttp.server")
    if not any(isinstance(each, BrokenRequests) for each in refusals.filters):
        refusals.addFilter(BrokenRequests())
    logging.captureWarnings(True)
    return handler


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ids() -> dict[str, str]:
    ids = current()
    if ids is None:
        return {}
    named = (("task_id", ids.task_id), ("flow", ids.flow), ("trace_id", ids.trace_id), ("span_id", ids.span_id))
    return {name: value for name, value in named if value is not None}


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


def _shown(value: Any) -> Any:
    return masked(value) if isinstance(value, str) else value


def _error(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    """The traceback, as one text."""
    if record.exc_info and record.exc_info[0] is not None:
        return formatter.formatException(record.exc_info)
    return formatter.formatStack(record.stack_info) if record.stack_info else None

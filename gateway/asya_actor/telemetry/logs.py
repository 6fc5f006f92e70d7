"""Logs: one JSON object for each line, with the task, the actor and the trace, without credentials."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

from typing_extensions import override

from asya_crds.masking import masked
from asya_crds.readable import readable
from asya_transports.driver_logs import quiet_drivers

_WHERE: ContextVar[dict[str, str] | None] = ContextVar("asya_actor_where", default=None)


def log_about(where: Mapping[str, str]) -> None:
    """Add these fields to every line that the current asyncio task writes from now on, also in the handler's thread."""
    _WHERE.set({**(_WHERE.get() or {}), **where})


@contextmanager
def logging_about(**where: str | None) -> Iterator[None]:
    """Add these fields to every line written inside the block, also in the handler's thread."""
    known = {key: value for key, value in where.items() if value}
    token = _WHERE.set({**(_WHERE.get() or {}), **known})
    try:
        yield
    finally:
        _WHERE.reset(token)


class _Context(logging.Filter):
    """Captures the context when the line is written, because another thread may format it later."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        record.where = _WHERE.get() or {}
        return True


class JsonLines(logging.Formatter):
    """{time, level, logger, message, actor?, task_id?, flow?, trace_id?, error?}."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
            **getattr(record, "where", {}),
        }
        if record.exc_info:
            line["error"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=str)


class TextLines(logging.Formatter):
    """For a terminal: time, level, actor, task, message."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """One line, with a traceback below it if there is one."""
        where = getattr(record, "where", {})
        message = record.getMessage()
        # Many messages name their task; a line is long enough with one id.
        task = where.get("task_id", "")
        about = " ".join(filter(None, (where.get("actor"), task if task not in message else None)))
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        text = f"{moment} {record.levelname.lower():7} {about + ': ' if about else ''}{message}"
        return readable(masked(f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text))


def log_to_stderr(level: str, style: Literal["json", "text"]) -> None:
    """Configure the process's logging. The handler's own loggers use it too."""
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(JsonLines() if style == "json" else TextLines())
    output.addFilter(_Context())
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level.upper())
    quiet_drivers()

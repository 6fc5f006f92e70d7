"""The command's console, which never prints control sequences from foreign text."""

import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text
from typing_extensions import override

from asya_crds.readable import readable

WIDE = 1000
"""Columns of a table in a file or a pipe, which have no width."""


def plain(text: str, style: str = "") -> Text:
    """Foreign text for a table or a line, in one style."""
    return Text(readable(text), style)


class ReadableConsole(Console):
    """Rich's console with control characters escaped. Text is escaped before rich measures it, because an escape is
    wider than its character and rich drops some characters: strings here, other text with `plain`. Everything else is
    escaped when it is drawn; rich's own control sequences are segments of another kind and are not changed. Text is
    data, so markup and emoji codes are not interpreted."""

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None) -> None:
        stream = file or (sys.stderr if stderr else sys.stdout)
        width = None if stream.isatty() else WIDE
        super().__init__(stderr=stderr, file=file, highlight=False, markup=False, emoji=False, width=width)

    @override
    def render_str(self, text: str, **options: Any) -> Text:
        """Render a string, with control characters escaped."""
        return super().render_str(readable(text), **options)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(readable(segment.text), segment.style)

"""The console of the command, which shows no control sequence of others."""

import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text
from typing_extensions import override

from asya_crds.readable import readable

WIDE = 1000
"""Columns of a table that goes into a file or a pipe, which have no width of their own."""


def plain(text: str, style: str = "") -> Text:
    """Text of others for a table or a line, in one style."""
    return Text(readable(text), style)


class ReadableConsole(Console):
    """Rich's console. Text is made readable before rich measures it, since an escape is wider than what it stands for
    and rich drops some characters: a string here, the rest by `plain`. What reaches the console otherwise is made
    readable where it is drawn; rich's own control sequences are segments of another kind and pass. No text is read as
    markup or emoji code: it is data."""

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None) -> None:
        stream = file or (sys.stderr if stderr else sys.stdout)
        width = None if stream.isatty() else WIDE
        super().__init__(stderr=stderr, file=file, highlight=False, markup=False, emoji=False, width=width)

    @override
    def render_str(self, text: str, **options: Any) -> Text:
        """A string as rich lays it out."""
        return super().render_str(readable(text), **options)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(readable(segment.text), segment.style)

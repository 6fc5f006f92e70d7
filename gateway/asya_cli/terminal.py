"""The console of the command, which shows no control sequence of others."""

import sys
from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from typing_extensions import override

from asya_crds.readable import readable

WIDE = 1000
"""Columns of a table that goes into a file or a pipe, where nobody's terminal ends."""


class ReadableConsole(Console):
    """Rich's console. Text of others reaches it in many places, so it is made readable in the one where all of it is
    drawn; rich's own control sequences are segments of another kind and pass. No text is read as markup or emoji
    code: it is data."""

    def __init__(self, *, stderr: bool = False, file: IO[str] | None = None) -> None:
        stream = file or (sys.stderr if stderr else sys.stdout)
        width = None if stream.isatty() else WIDE
        super().__init__(stderr=stderr, file=file, highlight=False, markup=False, emoji=False, width=width)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(readable(segment.text), segment.style)

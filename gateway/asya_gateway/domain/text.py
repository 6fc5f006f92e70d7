"""Makes text of callers and actors storable: a column of type text accepts no NUL and no surrogates."""

from typing import overload

LONGEST = 4096
"""Most characters of a message in a task's row. The log keeps the whole message."""


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, cut with an ellipsis if it has more than `longest` characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def printable(text: str, longest: int = 64) -> str:
    """Input for use in an error: shortened, and without control characters."""
    return "".join(each if each.isprintable() else "\ufffd" for each in shortened(text, longest))


@overload
def storable(text: str, longest: int = LONGEST) -> str: ...
@overload
def storable(text: None, longest: int = LONGEST) -> None: ...
def storable(text: str | None, longest: int = LONGEST) -> str | None:
    """The text with NUL and lone surrogates replaced by U+FFFD, cut to `longest` characters."""
    if text is None:
        return None
    text = shortened(text, longest)
    if "\0" in text:
        text = text.replace("\0", "�")
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

"""JSON text of answers, in which JSON text that is already there is inserted unchanged."""

import os
from collections.abc import Mapping
from itertools import chain, zip_longest
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.a2a.model import Verbatim


def json_text(value: Any) -> JsonText:
    """Encode a value that may contain Verbatim. Each stands in the encoded text as a mark that nobody can guess, and is
    then replaced, all of them in one pass. Raises what jsontext.dumps raises."""
    marks = _Marks()
    text = jsontext.dumps(value, of_other=marks.of)
    if not marks.found:
        return text
    around = text.split(f'"{marks.mark}"')
    # Text that UTF-8 cannot carry is encoded a second time, in which every mark is asked for again.
    found = marks.found[1 - len(around) :]
    return "".join(chain.from_iterable(zip_longest(around, found, fillvalue="")))


def one_line(text: JsonText) -> JsonText:
    """JSON text without line breaks, of which a stored result may have some between its values. Some readers of streams
    decode each line of an event alone."""
    return text.replace("\r", " ").replace("\n", " ") if "\n" in text or "\r" in text else text


class _Marks:
    """What the encoder itself cannot express, in the order of the text."""

    def __init__(self) -> None:
        self.found: list[JsonText] = []
        self.mark = ""

    def of(self, value: Any) -> Any:
        match value:
            case Verbatim():
                self.mark = self.mark or os.urandom(12).hex()
                self.found.append(value.text)
                return self.mark
            case Mapping():
                return dict(value)
            case _:
                raise TypeError(f"{type(value).__name__} is not a JSON value")

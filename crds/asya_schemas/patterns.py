"""What a schema's patterns cost: an engine without backtracking needs linear time, but for each character it may
look at every place of the pattern where a match could stand, and `[ab]{500}` has five hundred of them."""

import re
from collections.abc import Iterator
from typing import Any

from asya_crds.schema_walk import Schema, subschemas

TEXT_BUDGET = 200_000_000
"""Characters times places of patterns beyond which a value is refused unseen: some seconds in the worst case."""
TEXT_AT_ONCE = TEXT_BUDGET // 100
"""Up to which the event loop may wait for it: some hundredths of a second."""

_TOKENS = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\{\s*(\d+)\s*(,?)\s*(\d*)\s*\}|\(\?:|.", re.DOTALL)


class TextLimit:
    """How much text a value may hold under this schema, whose places are evaluated `weight` times at most."""

    def __init__(self, schema: Schema, weight: int) -> None:
        costs = [_cost(pattern) for pattern in _patterns(schema)]
        heaviest = max((places for places, _ in costs), default=0)
        self.characters = TEXT_BUDGET // (heaviest * weight) if heaviest else None
        self._at_once = TEXT_AT_ONCE // (heaviest * weight) if heaviest else None
        # A pattern that begins with ^ and repeats nothing without end is done with a string when it is as long.
        self._looked_at = heaviest if all(bounded for _, bounded in costs) else None

    def exceeded_by(self, value: Any) -> bool:
        """Whether the strings and names in the value are too much for the patterns."""
        return self._more_than(self.characters, value)

    def takes_long(self, value: Any) -> bool:
        """Whether they are too much for the event loop to wait for."""
        return self._more_than(self._at_once, value)

    def _more_than(self, characters: int | None, value: Any) -> bool:
        if characters is None:
            return False
        count = 0
        for text in _texts(value):
            count += len(text) if self._looked_at is None else min(len(text), self._looked_at)
            if count > characters:
                return True
        return False


def _patterns(schema: Schema) -> Iterator[str]:
    for _, part in subschemas(schema):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        named = part.get("patternProperties")
        if isinstance(named, dict) and named:
            # Every name meets each of them, as if they were one.
            yield "|".join(named)


def _cost(pattern: str) -> tuple[int, bool]:
    """(places with repetitions written out, whether it looks only at the beginning of a string)."""
    groups: list[list[int]] = [[0, 0]]  # of each open group: places before its latest part, and those of that part
    bounded = pattern.startswith("^")
    for token in _TOKENS.finditer(pattern):
        text, here = token[0], groups[-1]
        if text in ("(", "(?:"):
            groups.append([0, 0])
        elif text == ")" and len(groups) > 1:
            inner = sum(groups.pop())
            groups[-1] = [sum(groups[-1]), inner]
        elif token[1] is not None:
            here[1] *= max(1, int(token[3] or token[1]))
        elif text not in "*+?^$|":
            groups[-1] = [sum(here), 1]
        endless = text in "*+" or (token[2] == "," and not token[3])
        # Another alternative need not begin with ^, and (?m) gives it another meaning.
        bounded = bounded and not endless and text != "|" and not (text == "(" and pattern[token.end() :][:1] == "?")
    return max(1, sum(map(sum, groups))), bounded


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield from node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)

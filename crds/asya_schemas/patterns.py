"""What a schema's patterns cost. An engine without backtracking needs linear time, but for each character it may visit
every position of the pattern where a match could be, and `[ab]{500}` has five hundred of them."""

import re
from collections.abc import Iterator
from typing import Any

from asya_crds.schema_walk import Schema, subschemas

TEXT_BUDGET = 200_000_000
"""Characters times pattern positions beyond which a value is refused unchecked: some seconds in the worst case."""
TEXT_AT_ONCE = TEXT_BUDGET // 100
"""The budget up to which the event loop may wait: some hundredths of a second."""

_TOKENS = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\{\s*(\d+)\s*(,?)\s*(\d*)\s*\}|\(\?:|.", re.DOTALL)


class TextLimit:
    """How much text a value may hold under this schema. Each place of the value is evaluated at most `weight` times."""

    def __init__(self, schema: Schema, weight: int) -> None:
        costs = [_cost(pattern) for pattern in _patterns(schema)]
        heaviest = max((places for places, _ in costs), default=0)
        self.characters = TEXT_BUDGET // (heaviest * weight) if heaviest else None
        self._at_once = TEXT_AT_ONCE // (heaviest * weight) if heaviest else None
        # A pattern that begins with ^ and has no unbounded repetition reads at most its own length of a string.
        self._looked_at = heaviest if all(bounded for _, bounded in costs) else None

    def exceeded_by(self, value: Any) -> bool:
        """Whether the value holds too much text for the patterns."""
        return self._more_than(self.characters, value)

    def takes_long(self, value: Any) -> bool:
        """Whether checking the text would block the event loop too long."""
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
            # Every name is matched against each of them, as if they were one pattern.
            yield "|".join(named)


def _cost(pattern: str) -> tuple[int, bool]:
    """(positions with repetitions expanded, whether it reads only the beginning of a string)."""
    groups: list[list[int]] = [[0, 0]]  # for each open group: positions before its latest part, and those of that part
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
        # Another alternative may not begin with ^, and (?m) changes its meaning.
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

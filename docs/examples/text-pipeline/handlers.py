"""Three actors of a text pipeline: each gets the payload of the one before and returns its own."""

import re
from collections import Counter
from typing import Any


def clean(payload: dict[str, Any]) -> dict[str, Any]:
    """Collapse white space."""
    return {**payload, "text": " ".join(payload["text"].split())}


async def count_words(payload: dict[str, Any]) -> dict[str, Any]:
    """Count words, case aside. Handlers may be coroutines."""
    words = re.findall(r"\w+", payload["text"].lower())
    most_common = Counter(words).most_common(payload.get("top", 3))
    return {**payload, "words": len(words), "top": dict(most_common)}


class Summary:
    """A handler may be a method: the object is made once, when its process starts, so it may hold a model."""

    def __init__(self, template: str = "{words} words, most often {top}.") -> None:
        self.template = template

    def write(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The last payload is the task's result."""
        named = ", ".join(f"{word} ({count})" for word, count in payload["top"].items())
        summary = self.template.format(words=payload["words"], top=named or "none")
        return {"summary": summary, "words": payload["words"], "top": payload["top"]}

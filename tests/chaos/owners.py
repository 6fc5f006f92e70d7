"""Callers with keys of their own, each of whom sees its own tasks only."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from asya_gateway.domain.identity.key_text import NewKey, new_key

NAMES = ("ada", "grace", "edsger")


@dataclass(frozen=True, slots=True)
class Owner:
    """A caller with a key, or nobody in particular: without a name it has none."""

    name: str = ""
    key: NewKey | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """With which it calls."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key.text}"}


ANYBODY = Owner()
"""The caller of an open gateway."""


def owners() -> list[Owner]:
    """Several with new keys."""
    return [Owner(name, new_key()) for name in NAMES]


def key_file(path: Path, whose: Iterable[Owner]) -> Path:
    """Write the file of their keys (ASYA_API_KEYS_FILE)."""
    keys = [
        {"id": owner.key.id, "name": owner.name, "hash": f"sha256:{owner.key.hash.hex()}"}
        for owner in whose
        if owner.key is not None
    ]
    path.write_text(json.dumps({"keys": keys}))
    return path

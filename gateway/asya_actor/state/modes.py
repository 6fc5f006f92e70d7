"""The modes of `open`, with the rules of the built-in function. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """What a mode allows. `kind`: r, w, a or x; `updates`: reading and writing."""

    kind: str
    updates: bool
    text: bool

    @property
    def reads(self) -> bool:
        return self.kind == "r" or self.updates

    @property
    def writes(self) -> bool:
        return self.kind != "r" or self.updates

    @property
    def appends(self) -> bool:
        return self.kind == "a"

    @property
    def exclusive(self) -> bool:
        return self.kind == "x"

    @property
    def begins_empty(self) -> bool:
        return self.kind in "wx"


def access_of(mode: str) -> Access:
    """Raises ValueError for an invalid mode."""
    kinds = [letter for letter in mode if letter in "rwax"]
    flags = {letter for letter in mode if letter in "+bt"}
    if len(kinds) != 1 or len(kinds) + len(flags) != len(mode):
        raise ValueError(f"invalid mode: {mode!r}")
    if {"b", "t"} <= flags:
        raise ValueError("can't have text and binary mode at once")
    return Access(kinds[0], updates="+" in flags, text="b" not in flags)

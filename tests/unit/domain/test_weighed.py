"""Caches that are bounded by the memory of what they hold."""

import sys

from asya_gateway.domain.weighed import ENTRY, WeighedCache, weight_of


def cache(most: int) -> WeighedCache[str, str]:
    return WeighedCache(most, len)


def test_what_was_used_least_recently_gives_way_to_what_weighs_more_than_the_rest() -> None:
    kept = cache(3 * ENTRY + 100)
    for name in "abc":
        kept.keep(name, "x" * 30)
    assert kept.get("a") == "x" * 30
    kept.keep("d", "y" * 30)
    assert [kept.get(name) is not None for name in "abcd"] == [True, False, True, True]
    assert kept.bytes == 3 * (ENTRY + 30)
    kept.keep("a", "z")
    assert (kept.get("a"), kept.bytes) == ("z", 3 * ENTRY + 61)


def test_what_would_take_the_place_of_everything_is_not_kept() -> None:
    kept = cache(2 * ENTRY)
    kept.keep("a", "")
    kept.keep("b", "x" * (ENTRY + 1))
    assert (kept.get("a"), kept.get("b"), len(kept)) == ("", None, 1)
    # Nor is what was there before under its name.
    kept.keep("a", "x" * (ENTRY + 1))
    assert (kept.get("a"), kept.bytes) == (None, 0)


def test_what_is_forgotten_makes_room() -> None:
    kept = cache(10 * ENTRY)
    for name in "abcd":
        kept.keep(name, name)
    kept.drop("a")
    kept.drop("unknown")
    kept.drop_all(lambda value: value == "b")
    assert (len(kept), kept.bytes) == (2, 2 * (ENTRY + 1))
    kept.clear()
    assert (len(kept), kept.bytes) == (0, 0)


def test_a_value_weighs_what_everything_in_it_does() -> None:
    text = "\U0001f600" * 1_000
    assert weight_of(text) == sys.getsizeof(text) > 4_000
    nested = {"a": [text, {"b": (text,)}]}
    assert 2 * weight_of(text) < weight_of(nested) < 2 * weight_of(text) + 1_000
    assert weight_of([[]] * 1_000) > 1_000 * sys.getsizeof([])
    assert weight_of(frozenset({"a", "b"})) > 2 * sys.getsizeof("a")

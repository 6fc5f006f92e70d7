"""The names of keys, and the ring of living ones."""

from typing import Any

import pytest

from asya_gateway.domain.identity import keys
from asya_gateway.domain.identity.key_text import NewKey, new_key
from asya_gateway.domain.identity.keys import KeyRecord, KeyRing, KeySource, check_key_name
from tests.support.keys import KEY


def record(key: NewKey = KEY, **changes: Any) -> KeyRecord:
    return KeyRecord(**({"id": key.id, "name": "ci", "hash": key.hash, "scopes": frozenset({"mcp:read"})} | changes))


@pytest.mark.parametrize("name", ["a", "ci", "team-1", "ops.eu_west", "0", "a" * 63])
def test_a_name_consists_of_lower_case_letters_digits_and_separators(name: str) -> None:
    assert check_key_name(name) == name


@pytest.mark.parametrize("name", ["", "CI", "a b", "-a", "a-", "a:b", "ä", "a" * 64, "a\n", "a/b"])
def test_other_names_are_refused_with_what_is_expected(name: str) -> None:
    with pytest.raises(ValueError, match="expected a name of at most 63 lower-case letters"):
        check_key_name(name)


@pytest.mark.parametrize("name", ["mcp", "a2a", "shared"])
def test_names_of_the_keys_that_settings_give_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is the name of a key from the settings"):
        check_key_name(name)


def test_a_key_is_found_by_its_text_in_the_source_that_has_it() -> None:
    ring = KeyRing()
    ring.replace(KeySource.TABLE, [record()])
    assert ring.find(KEY.text, KeySource.TABLE, 0) == record()
    assert ring.find(KEY.text, KeySource.FILE, 0) is None


def test_hashes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append((first, second))
        return True

    monkeypatch.setattr(keys, "compare_digest", compare)
    other = new_key()
    ring = KeyRing()
    ring.replace(KeySource.TABLE, [record(id=other.id)])
    assert ring.find(other.text, KeySource.TABLE, 0) is not None
    assert compared == [(KEY.hash, other.hash)]


def test_another_secret_with_the_same_id_is_not_found() -> None:
    other = new_key()
    ring = KeyRing()
    ring.replace(KeySource.TABLE, [record(id=other.id)])
    assert ring.lives(other.id)
    assert ring.find(other.text, KeySource.TABLE, 0) is None


def test_a_key_ends_at_its_expiry() -> None:
    ring = KeyRing()
    ring.replace(KeySource.TABLE, [record(expires_at=100.0)])
    assert ring.find(KEY.text, KeySource.TABLE, 99.9) is not None
    assert ring.find(KEY.text, KeySource.TABLE, 100.0) is None


# The ids of tests must be the same in every process that runs some of them.
@pytest.mark.parametrize(
    "text", ["", "asya_", "x", "ключ", "\ud800", KEY.text[:-1], KEY.text + "0", KEY.text + "\n"], ids=range(8)
)
def test_other_text_is_not_found(text: str) -> None:
    ring = KeyRing()
    ring.replace(KeySource.TABLE, [record()])
    assert ring.find(text, KeySource.TABLE, 0) is None


def test_a_replacement_names_the_keys_that_are_gone() -> None:
    first, second, third = new_key(), new_key(), new_key()
    ring = KeyRing()
    assert ring.replace(KeySource.FILE, [record(first), record(second), record(third)]) == frozenset()
    assert ring.replace(KeySource.FILE, [record(first), record(second)]) == {f"key:{third.id}"}
    assert len(ring) == 2


BEFORE: dict[str, Any] = {"scopes": frozenset({"a", "b"}), "roles": frozenset({"r"}), "expires_at": 100.0}


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ({}, False),
        ({"scopes": frozenset({"a", "b", "c"})}, False),
        ({"roles": frozenset({"r", "s"})}, False),
        ({"expires_at": 200.0}, False),
        ({"expires_at": None}, False),
        ({"scopes": frozenset({"a", "c"})}, True),
        ({"roles": frozenset()}, True),
        ({"expires_at": 99.0}, True),
        ({"name": "other"}, True),
        ({"hash": b"x" * 32}, True),
    ],
)
def test_a_key_that_may_do_less_ends_its_streams_and_every_change_is_judged_anew(
    now: dict[str, Any], ends: bool
) -> None:
    ring, changes = KeyRing(), list[str]()
    ring.on_change(lambda: changes.append("changed"))
    ring.replace(KeySource.FILE, [record(**BEFORE)])
    assert bool(ring.replace(KeySource.FILE, [record(**(BEFORE | now))])) is ends
    assert bool(changes) is bool(now)


def test_a_key_lives_while_one_source_has_it() -> None:
    ring = KeyRing()
    ring.replace(KeySource.TABLE, [record()])
    ring.replace(KeySource.FILE, [record()])
    ring.replace(KeySource.TABLE, [])
    assert ring.lives(KEY.id)
    ring.replace(KeySource.FILE, [])
    assert not ring.lives(KEY.id)


def test_no_hash_is_in_the_representation_of_a_record() -> None:
    assert repr(KEY.hash) not in repr(record())

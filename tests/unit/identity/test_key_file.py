"""ASYA_API_KEYS_FILE: what an entry means, and what is said of a mistake."""

import itertools
from pathlib import Path

import pytest

from asya_gateway.domain.identity.key_text import NewKey, new_key
from asya_gateway.domain.identity.keys import KeyRing, KeySource
from asya_gateway.identity.key_file import parse_time, read_keys, watch_keys
from asya_gateway.mounted import reading
from asya_gateway.mounted.watching import InvalidFile
from tests.support.keys import KEY

HASH = f"sha256:{KEY.hash.hex()}"
ENTRY = f"id: {KEY.id}, name: ci, hash: '{HASH}'"


def file(*entries: str) -> bytes:
    return "\n".join(["keys:", *(f"- {{{entry}}}" for entry in entries)]).encode()


def test_an_entry_says_name_scopes_roles_and_expiry() -> None:
    [key] = read_keys(file(f"{ENTRY}, scopes: ['flow:a:invoke'], roles: [ops], expires: 2027-01-01T00:00:00+02:00"))
    assert (key.id, key.name, key.hash) == (KEY.id, "ci", KEY.hash)
    assert (sorted(key.scopes), sorted(key.roles), key.expires_at) == (["flow:a:invoke"], ["ops"], 1798754400.0)


@pytest.mark.parametrize(
    ("more", "scopes"),
    [
        ("", ["mcp:invoke", "mcp:read"]),
        (", roles: [ops]", []),
        (", scopes: []", []),
        (", scopes: [x], roles: [ops]", ["x"]),
    ],
)
def test_an_entry_without_scopes_and_roles_has_the_common_scopes(more: str, scopes: list[str]) -> None:
    [key] = read_keys(file(ENTRY + more))
    assert sorted(key.scopes) == scopes


def test_a_name_may_have_several_keys() -> None:
    other = new_key()
    assert len(read_keys(file(ENTRY, f"id: {other.id}, name: ci, hash: 'sha256:{other.hash.hex()}'"))) == 2


def test_no_keys_are_said_to_be_none() -> None:
    assert read_keys(b"keys: []") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "keys: required field is missing"),
        (b"keys:", "line 1: keys: expected a list"),
        (file(f"id: {KEY.id}, name: ci"), "line 2: keys.0.hash: required field is missing"),
        (file(ENTRY, f"{ENTRY}, name: b"), "line 3: keys.1.name: the key occurs twice"),
        (file(ENTRY, ENTRY), f"line 1: expected every id once; {KEY.id} occurs again"),
        (file(ENTRY.replace("ci", "mcp")), "line 2: keys.0.name: 'mcp' is the name of a key from the settings"),
        (file(ENTRY.replace("ci", "A B")), "line 2: keys.0.name: expected a name of at most 63"),
        (file(ENTRY.replace(KEY.id, "short")), "line 2: keys.0.id: expected the 12 letters and digits"),
        (file(ENTRY.replace(HASH, KEY.text)), "line 2: keys.0.hash: expected sha256: and 64 hexadecimal digits"),
        (file(ENTRY + ", scopes: [a b]"), "line 2: keys.0.scopes.0: expected a scope"),
        (
            file(ENTRY + ", scopes: ['flow:a']"),
            "line 2: keys.0.scopes.0: flow:a gives nothing; expected flow:NAME:read",
        ),
        (file(ENTRY + ", scopes: mcp:read"), "line 2: keys.0.scopes: expected a list"),
        (file(ENTRY + ", roles: ['a b']"), "line 2: keys.0.roles.0: expected the name of a role"),
        (file(ENTRY + ", expires: tomorrow"), "line 2: keys.0.expires: expected a time such as 2027-01-01T00:00:00Z"),
        (file(ENTRY + ", secret: x"), "line 2: keys.0.secret: unknown field"),
    ],
    ids=itertools.count(),  # the texts contain a key that every process makes anew
)
def test_a_mistake_is_named_with_its_line_and_without_secrets(text: bytes, expected: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read_keys(text)
    assert str(caught.value).startswith(expected)
    assert KEY.text not in str(caught.value)
    assert KEY.text.split("_")[2] not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1970-01-02", 86_400.0), ("1970-01-01T00:00:01Z", 1.0), ("1970-01-01T01:00:00+01:00", 0.0)],
)
def test_a_time_has_an_offset_and_a_day_begins_in_utc(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("value", ["", "never", "2027-01-01T00:00:00", "2027-13-01", 5, None])
def test_other_times_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a time such as"):
        parse_time(value)


def write(path: Path, *keys: NewKey) -> None:
    entries = [f"id: {key.id}, name: ci, hash: 'sha256:{key.hash.hex()}'" for key in keys]
    path.write_bytes(file(*entries) if entries else b"keys: []")


async def test_a_changed_file_tells_which_keys_ended_and_a_broken_one_ends_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_SETTLE", 0.0)
    path, ring, told, other = tmp_path / "keys.yaml", KeyRing(), list[str](), new_key()
    watched = watch_keys(str(path), ring, told.extend, poll_interval=3600)
    await watched.look()
    assert len(ring) == 0
    write(path, KEY, other)
    await watched.look()
    assert ring.find(KEY.text, KeySource.FILE, 0) is not None
    for broken in (b"", b"keys: [", b"key: []"):
        path.write_bytes(broken)
        await watched.look()
        assert len(ring) == 2
    path.unlink()
    await watched.look()
    assert len(ring) == 2
    write(path, other)
    await watched.look()
    assert told == [f"key:{KEY.id}"]
    write(path)
    await watched.look()
    assert (len(ring), told) == (0, [f"key:{KEY.id}", f"key:{other.id}"])

"""Which paths are state, and what key each stands for."""

import os
from pathlib import Path
from typing import Any

import pytest

from asya_actor.settings import worker_settings
from asya_actor.state.modes import access_of
from asya_actor.state.mounts import InvalidMounts, StateMount, locate, parse_mounts
from asya_crds.setting_types import SettingsError

META = StateMount("meta", "/state/meta")
MEDIA = StateMount("media", "/state/media", "passthrough")
INNER = StateMount("inner", "/state/meta/deep")
MOUNTS = parse_mounts("meta:/state/meta:write=buffered;media:/state/media:write=passthrough;inner:/state/meta/deep/")


def test_mounts_are_read_as_operators_write_them() -> None:
    """`name:path:write=mode;...`."""
    assert sorted(MOUNTS, key=lambda one: one.name) == [INNER, MEDIA, META]
    assert parse_mounts("") == parse_mounts(" ; ") == ()
    assert parse_mounts(" a:/x ") == (StateMount("a", "/x"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("meta", "expected name:path"),
        (":/state", "expected name:path"),
        ("a/b:/state", "expected name:path"),
        ("..:/state", "expected name:path"),
        ("meta:state", "must be absolute"),
        ("meta:/", "must be absolute"),
        ("meta:/x/..", "must be absolute"),
        ("meta:/state:write=sometimes", "write=buffered"),
        ("meta:/state:read=buffered", "write=buffered"),
        ("a:/x;a:/y", "the name a is given twice"),
        ("a:/x;b:/x/", "the path /x is given twice"),
    ],
)
def test_mounts_that_make_no_sense_are_refused_with_the_part(text: str, says: str) -> None:
    with pytest.raises(InvalidMounts, match=says):
        parse_mounts(text)
    with pytest.raises(SettingsError, match="ASYA_STATE_PROXY_MOUNTS"):
        worker_settings({"actor_name": "a", "handler": "m.f", "state_proxy_mounts": text})


@pytest.mark.parametrize(
    ("path", "mount", "key"),
    [
        ("/state/meta/a.json", META, "a.json"),
        ("/state/meta", META, ""),
        ("/state/meta/", META, ""),
        ("//state//meta/./a/../b/c", META, "b/c"),
        ("/state/other/../media/x", MEDIA, "x"),
        ("/state/meta/deep/x", INNER, "x"),
        (b"/state/media/x y", MEDIA, "x y"),
        (Path("/state/media/p"), MEDIA, "p"),
    ],
)
def test_a_path_below_a_mount_has_its_key(path: Any, mount: StateMount, key: str) -> None:
    place = locate(MOUNTS, path)
    assert place is not None
    assert (place.mount, place.key) == (mount, key)


@pytest.mark.parametrize(
    "path", ["/state/metadata", "/state", "/etc/passwd", "state/meta/x", "", 3, None, True, "/state/other/../metal/x"]
)
def test_every_other_path_is_left_alone(path: Any) -> None:
    assert locate(MOUNTS, path) is None


def test_a_relative_path_counts_from_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    place = locate(MOUNTS, "state/meta/x")
    assert place is not None
    assert place.key == "x"


@pytest.mark.parametrize("path", ["/state/meta/../../etc/passwd", "/state/meta/..", "/state/meta/x/../../y"])
def test_a_path_that_leads_out_of_its_mount_is_refused(path: str) -> None:
    """A name that came with a payload must not reach the worker's own files."""
    with pytest.raises(PermissionError, match="leads out of /state/meta"):
        locate(MOUNTS, path)


def test_names_that_no_store_can_hold_are_refused() -> None:
    with pytest.raises(OSError, match="too long"):
        locate(MOUNTS, "/state/meta/" + "ä" * 513)
    with pytest.raises(ValueError, match="null byte"):
        locate(MOUNTS, "/state/meta/a\0b")


@pytest.mark.parametrize("mode", ["", "rw", "b", "rr", "z", "r++", "U", "wtb"])
def test_an_invalid_mode_is_a_value_error_as_for_any_file(mode: str) -> None:
    with pytest.raises(ValueError, match="mode"):
        access_of(mode)
    with pytest.raises(ValueError, match="mode"):
        open(os.devnull, mode)  # noqa: SIM115, PTH123 # the built-in says the same

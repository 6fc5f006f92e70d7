"""Handlers' files that live in a store: what the standard library does below a mount, over a real Unix socket."""

import configparser
import errno
import gzip
import io
import json
import os
import pickle
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asya_actor.state.connector import Connectors
from asya_actor.state.mounts import parse_mounts
from asya_actor.state.patching import install
from tests.support.connector import Store, connector

MOUNTS = "meta:/state/meta:write=buffered;media:/state/media:write=passthrough;gone:/state/gone"


@pytest.fixture
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def _installed(sockets: Path) -> Iterator[None]:
    undo = install(parse_mounts(MOUNTS), Connectors(str(sockets), timeout=0.5, largest=1_000_000))
    yield
    undo()


@pytest.fixture
def meta(sockets: Path, _installed: None) -> Iterator[Store]:
    with connector(sockets, "meta") as store:
        yield store


@pytest.fixture
def media(sockets: Path, _installed: None) -> Iterator[Store]:
    with connector(sockets, "media") as store:
        yield store


def test_what_is_written_is_read_again_as_text_and_as_bytes(meta: Store) -> None:
    with open("/state/meta/notes/a b.txt", "w") as file:
        assert file.write("grüße\nzwei\n") == 11
        assert file.name == "/state/meta/notes/a b.txt"
        assert (file.mode, file.encoding) == ("w", "utf-8")
        assert meta.keys == {}
    assert meta.keys == {"notes/a b.txt": "grüße\nzwei\n".encode()}
    assert meta.requests == [("PUT", "/keys/notes/a%20b.txt")]
    with open("/state/meta/notes/a b.txt") as file:
        assert list(file) == ["grüße\n", "zwei\n"]
    with open("/state/meta/notes/a b.txt", "rb") as file:
        assert file.seek(-5, io.SEEK_END) == 8
        assert file.read() == b"zwei\n"
    with open("/state/meta/latin", "w", encoding="latin-1", newline="\r\n") as file:
        file.write("ü\n")
    assert meta.keys["latin"] == b"\xfc\r\n"


def test_a_buffered_file_is_sent_once_when_it_is_closed_and_only_where_it_changed(meta: Store) -> None:
    """buffered, one PUT on close."""
    with open("/state/meta/f", "wb") as file:
        for _ in range(10):
            file.write(b"x" * 50_000)
        file.flush()
        assert meta.requests == []
    file.close()
    assert [method for method, _ in meta.requests] == ["PUT"]
    assert meta.headers[0]["Content-Length"] == "500000"
    assert meta.keys["f"] == b"x" * 500_000
    with open("/state/meta/f", "r+b") as changed:
        changed.read(3)
    with open("/state/meta/empty", "w"):
        pass
    assert [method for method, _ in meta.requests] == ["PUT", "GET", "PUT"]
    assert meta.keys["empty"] == b""


def test_every_mode_does_what_it_does_to_a_file(meta: Store) -> None:
    path = "/state/meta/m"
    with open(path, "a") as file:
        file.write("one")
    with open(path, "a") as file:
        assert file.tell() == 3
        file.write("two")
    assert meta.keys["m"] == b"onetwo"
    with open(path, "r+") as file:
        assert file.read(3) == "one"
        file.seek(0)
        file.write("ONE")
    assert meta.keys["m"] == b"ONEtwo"
    with open(path, "rb+") as file:
        file.truncate(2)
        assert file.truncate(5) == 5
    assert meta.keys["m"] == b"ON\0\0\0"
    with open(path, "w+") as file:
        file.write("back")
        file.seek(0)
        assert file.read() == "back"
    with open("/state/meta/a+", "a+b", buffering=0) as file:
        assert file.write(b"raw") == 3
    assert meta.keys["a+"] == b"raw"
    with pytest.raises(FileNotFoundError):
        open("/state/meta/none", "r+")
    with pytest.raises(io.UnsupportedOperation):
        open(path).write("no")
    with pytest.raises(io.UnsupportedOperation):
        open("/state/meta/z", "w").read()


def test_exclusive_creation_fails_at_once_and_leaves_the_last_word_to_the_store(meta: Store) -> None:
    meta.keys["old"] = b"1"
    with pytest.raises(FileExistsError):
        open("/state/meta/old", "x")
    assert meta.keys["old"] == b"1"
    file = open("/state/meta/new", "x")
    file.write("mine")
    meta.keys["new"] = b"theirs"
    with pytest.raises(FileExistsError):
        file.close()
    assert file.closed
    assert meta.keys["new"] == b"theirs"
    assert meta.headers[-1]["If-None-Match"] == "*"


def test_exclusive_creation_of_a_streamed_file_asks_the_store_as_well(media: Store) -> None:
    media.keys["old"] = b"1"
    with pytest.raises(FileExistsError):
        open("/state/media/old", "x")
    with open("/state/media/new", "xb") as file:
        file.write(b"mine")
    assert media.keys == {"old": b"1", "new": b"mine"}
    assert media.headers[-1]["If-None-Match"] == "*"


def test_a_passthrough_file_is_sent_as_it_is_written_and_read_as_it_arrives(media: Store) -> None:
    """passthrough, streamed; nothing of it is held, so the limit of buffered files is none of it."""
    block = bytes(range(256)) * 4096
    with open("/state/media/big", "wb") as file:
        for _ in range(4):
            file.write(block)
        assert not file.seekable()
    assert media.headers[0]["Transfer-Encoding"] == "chunked"
    assert media.keys["big"] == block * 4
    for media.chunked in (False, True):
        with open("/state/media/big", "rb") as file:
            assert file.read(5) == block[:5]
            assert len(file.read()) == 4 * len(block) - 5
    with open("/state/media/text", "w") as text:
        print("line", file=text)
    with open("/state/media/text") as text:
        assert text.readlines() == ["line\n"]
    with open("/state/media/empty", "w"):
        pass
    assert media.keys["empty"] == b""
    for mode in ("a", "r+", "w+"):
        with pytest.raises(OSError, match="streamed") as raised:
            open("/state/media/big", mode)
        assert raised.value.errno == errno.ENOTSUP


def test_a_content_that_is_cut_is_an_error_and_never_a_short_file(meta: Store, sockets: Path) -> None:
    meta.keys["c"], meta.cut = b"x" * 100_000, 10
    with pytest.raises(OSError, match="truncated 10 bytes before its end") as raised:
        open("/state/meta/c", "rb")
    assert raised.value.errno == errno.EIO
    with connector(sockets, "media") as media:
        media.keys["c"], media.cut = b"x" * 100_000, 10
        with open("/state/media/c", "rb") as file, pytest.raises(OSError, match="truncated 10 bytes"):
            file.read()


def test_os_sees_files_and_folders(meta: Store) -> None:
    meta.keys |= {"a.txt": b"12345", "d/e/f": b"", "d/g": b"1"}
    assert os.stat("/state/meta/a.txt").st_size == 5
    assert os.path.getsize(b"/state/meta/a.txt") == 5
    assert os.path.isfile("/state/meta/a.txt")
    assert os.path.isdir("/state/meta")
    assert os.path.isdir("/state/meta/d")
    assert os.path.exists("/state/meta/d/e/f")
    assert not os.path.exists("/state/meta/nothing")
    assert not os.path.islink("/state/meta/a.txt")
    assert os.access("/state/meta/a.txt", os.R_OK)
    assert not os.access("/state/meta/a.txt", os.X_OK)
    assert not os.access("/state/meta/nothing", os.F_OK)
    assert os.listdir("/state/meta") == ["a.txt", "d"]
    assert sorted(os.listdir(path="/state/meta/d/")) == ["e", "g"]
    assert os.listdir("/state/meta/nowhere") == []
    with os.scandir("/state/meta") as entries:
        assert [(one.name, one.path, one.is_dir()) for one in entries] == [
            ("a.txt", "/state/meta/a.txt", False),
            ("d", "/state/meta/d", True),
        ]
    walked = [(folder, files) for folder, _, files in os.walk("/state/meta")]
    assert walked == [("/state/meta", ["a.txt"]), ("/state/meta/d", ["g"]), ("/state/meta/d/e", ["f"])]
    with pytest.raises(NotADirectoryError):
        os.stat("/state/meta/a.txt/")


def test_os_deletes_and_makes_folders_that_are_only_names(meta: Store) -> None:
    meta.keys |= {"a": b"", "b": b"", "d/x": b""}
    os.remove("/state/meta/a")
    os.unlink("/state/meta/b")
    assert meta.keys == {"d/x": b""}
    with pytest.raises(FileNotFoundError) as missing:
        os.remove("/state/meta/a")
    assert missing.value.filename == "/state/meta/a"
    with pytest.raises(IsADirectoryError):
        os.remove("/state/meta/")
    os.makedirs("/state/meta/new/folders")
    os.makedirs("/state/meta/d", exist_ok=True)
    os.mkdir("/state/meta/one")
    assert meta.keys == {"d/x": b""}
    for make in (os.mkdir, os.makedirs):
        with pytest.raises(FileExistsError):
            make("/state/meta/d")
    with pytest.raises(FileExistsError):
        os.makedirs("/state/meta/d/x", exist_ok=True)
    assert not os.path.exists("/state/new")


def test_what_a_store_cannot_do_says_so_instead_of_looking_like_a_missing_file(meta: Store, tmp_path: Path) -> None:
    meta.keys["a"] = b""
    for refused in (
        lambda: os.rename("/state/meta/a", "/state/meta/b"),
        lambda: os.replace(src="/state/meta/a", dst="/state/meta/b"),
        lambda: os.open("/state/meta/a", os.O_RDONLY),
        lambda: os.rmdir("/state/meta/d"),
        lambda: os.chmod("/state/meta/a", 0o600),
        lambda: os.removexattr("/state/meta/a", "user.asya.x"),
    ):
        with pytest.raises(OSError, match="is not supported below a state mount") as raised:
            refused()
        assert raised.value.errno == errno.ENOTSUP
    outside = tmp_path / "outside"
    outside.touch()
    for move in (os.rename, os.replace):
        with pytest.raises(OSError, match="is not supported below a state mount"):
            move(outside, "/state/meta/moved")
    with open("/state/meta/a") as file, pytest.raises(io.UnsupportedOperation):
        file.fileno()


def test_pathlib_and_libraries_that_use_open_work(meta: Store, tmp_path: Path) -> None:
    folder = Path("/state/meta/lib")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "t.txt").write_text("text")
    assert (folder / "t.txt").read_bytes() == b"text"
    assert (folder / "t.txt").exists()
    assert folder.is_dir()
    assert [path.name for path in folder.iterdir()] == ["t.txt"]
    (folder / "t.txt").unlink()
    (folder / "t.txt").unlink(missing_ok=True)
    with open(folder / "j.json", "w") as file:
        json.dump({"a": [1]}, file)
    assert json.loads((folder / "j.json").read_text()) == {"a": [1]}
    with open(folder / "p.pickle", "wb") as binary:
        pickle.dump({1: 2}, binary)
    with open(folder / "p.pickle", "rb") as binary:
        assert pickle.load(binary) == {1: 2}
    with gzip.open("/state/meta/z.gz", "wt") as packed:
        packed.write("packed")
    with gzip.open("/state/meta/z.gz", "rt") as packed:
        assert packed.read() == "packed"
    with zipfile.ZipFile("/state/meta/z.zip", "w") as archive:
        archive.writestr("inner", "zipped")
    with zipfile.ZipFile("/state/meta/z.zip") as archive:
        assert archive.read("inner") == b"zipped"
    meta.keys["conf.ini"] = b"[a]\nb = c\n"
    config = configparser.ConfigParser()
    assert config.read("/state/meta/conf.ini") == ["/state/meta/conf.ini"]
    shutil.copyfile("/state/meta/conf.ini", tmp_path / "conf.ini")
    shutil.copyfile(tmp_path / "conf.ini", "/state/meta/copy.ini")
    assert meta.keys["copy.ini"] == b"[a]\nb = c\n"


@pytest.mark.parametrize(
    ("status", "kind", "number"),
    [
        (400, OSError, errno.EINVAL),
        (401, PermissionError, errno.EACCES),
        (403, PermissionError, errno.EACCES),
        (404, FileNotFoundError, errno.ENOENT),
        (409, FileExistsError, errno.EEXIST),
        (412, FileExistsError, errno.EEXIST),
        (413, OSError, errno.EFBIG),
        (429, OSError, errno.EIO),
        (500, OSError, errno.EIO),
        (503, ConnectionError, errno.EIO),
        (504, TimeoutError, errno.EIO),
        (507, OSError, errno.ENOSPC),
    ],
)
def test_a_refusal_is_the_error_that_a_file_system_raises(
    meta: Store, sockets: Path, status: int, kind: type[OSError], number: int
) -> None:
    with connector(sockets, "media") as media:
        meta.refuse = media.refuse = status
        actions: list[Any] = [
            lambda: open("/state/meta/a"),
            lambda: open("/state/meta/a", "w").close(),
            lambda: open("/state/media/a"),
            lambda: open("/state/media/a", "w").close(),
            lambda: os.remove("/state/meta/a"),
            lambda: os.listdir("/state/meta/d"),
        ]
        for action in actions:
            with pytest.raises(OSError, match=f"told to say {status}") as raised:
                action()
            assert type(raised.value) is kind
            assert (raised.value.errno, str(raised.value.filename)[:8]) == (number, "/state/m")
        with pytest.raises(kind):
            os.stat("/state/meta/a")


def test_a_connector_that_refuses_without_reading_is_heard(meta: Store, sockets: Path) -> None:
    """What is sent into a closed connection breaks before the answer was read."""
    with connector(sockets, "media") as media:
        for store, path in ((meta, "/state/meta/big"), (media, "/state/media/big")):
            store.refuse, store.deaf = 413, True
            with pytest.raises(OSError, match="told to say 413") as raised, open(path, "wb") as file:  # noqa: PT012
                for _ in range(30):
                    file.write(b"x" * 30_000)
            assert raised.value.errno == errno.EFBIG


def test_a_connector_that_is_silent_or_missing_is_an_io_error_in_bounded_time(meta: Store) -> None:
    meta.answering.clear()
    with pytest.raises(TimeoutError, match="connector of meta") as late:
        open("/state/meta/a")
    assert late.value.errno == errno.EIO
    for action in (lambda: open("/state/gone/a"), lambda: os.stat("/state/gone/a"), lambda: os.listdir("/state/gone")):
        with pytest.raises(ConnectionError, match="connector of gone") as gone:
            action()
        assert gone.value.errno == errno.EIO


@pytest.mark.parametrize("listing", [b"[]", b"{", b'{"keys": 1}', b'{"keys": [1, "../x", "a/b", "ok", ""]}'])
def test_a_listing_that_makes_no_sense_yields_no_odd_names(meta: Store, listing: bytes) -> None:
    meta.listing = listing
    if listing in (b"[]", b"{"):
        with pytest.raises(OSError, match=r"response is not (a )?JSON") as raised:
            os.listdir("/state/meta")
        assert raised.value.errno == errno.EIO
    else:
        assert os.listdir("/state/meta") == (["ok"] if b"ok" in listing else [])


def test_a_buffered_file_past_its_limit_is_refused_and_nothing_is_sent(meta: Store) -> None:
    with pytest.raises(OSError, match="at most 1000000 bytes") as raised, open("/state/meta/big", "wb") as file:
        file.write(b"x" * 1_000_001)
    assert raised.value.errno == errno.EFBIG
    meta.keys["big"] = b"x" * 1_000_001
    with pytest.raises(OSError, match="at most 1000000 bytes"):
        open("/state/meta/big", "rb")


def test_parameters_that_do_not_go_together_are_refused_before_anything_is_asked(meta: Store) -> None:
    for parameters in (
        {"mode": "w", "buffering": 0},
        {"mode": "wb", "encoding": "utf-8"},
        {"mode": "wb", "newline": ""},
        {"mode": "w", "newline": "x"},
        {"mode": "w", "opener": lambda path, flags: 0},
    ):
        with pytest.raises(ValueError, match=r"unbuffered|argument|newline|opener"):
            open("/state/meta/a", **parameters)
    with pytest.raises(LookupError):
        open("/state/meta/a", "w", encoding="no-such")
    with pytest.raises(IsADirectoryError):
        open("/state/meta/d/", "w")
    assert meta.requests == []


def test_attributes_are_what_the_store_knows_of_a_file(meta: Store) -> None:
    meta.attributes["a"] = {"url": "s3://bucket/a", "content_type": "text/plain"}
    path = "/state/meta/a"
    assert os.listxattr(path) == ["user.asya.content_type", "user.asya.url"]
    assert os.getxattr(path, b"user.asya.url") == b"s3://bucket/a"
    os.setxattr(path, "user.asya.content_type", b"application/pdf")
    assert meta.attributes["a"]["content_type"] == "application/pdf"
    for name in ("user.asya.none", "user.other"):
        with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
            os.getxattr(path, name)
    with pytest.raises(PermissionError):
        os.setxattr(path, "user.asya.url", b"x")
    with pytest.raises(OSError, match=r"only attributes user\.asya"):
        os.setxattr(path, "user.other", b"x")
    with pytest.raises(FileNotFoundError):
        os.listxattr("/state/meta/none")


def test_everything_else_on_the_machine_is_as_it_was(meta: Store, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("x")
    with open(file) as opened:
        assert isinstance(opened, io.TextIOWrapper)
        assert opened.fileno() > 2
    os.rename(file, tmp_path / "g")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert os.stat("g", dir_fd=folder).st_size == 1
        os.unlink("g", dir_fd=folder)
    finally:
        os.close(folder)
    assert os.listdir(tmp_path) == os.listdir(path=tmp_path) == []
    assert isinstance(os.listdir(), list)
    assert os.stat in os.supports_dir_fd
    assert os.stat in os.supports_follow_symlinks
    assert os.scandir in os.supports_fd
    os.makedirs(tmp_path / "a" / "b")
    shutil.rmtree(tmp_path / "a")
    assert meta.requests == []


def test_taking_it_back_leaves_no_trace(sockets: Path) -> None:
    before = (open, io.open, os.stat, os.scandir, set(os.supports_dir_fd))
    undo = install(parse_mounts(MOUNTS), Connectors(str(sockets)))
    assert open is not before[0]
    undo()
    assert (open, io.open, os.stat, os.scandir, set(os.supports_dir_fd)) == before


def test_many_threads_use_it_at_once(meta: Store) -> None:
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                with open(f"/state/meta/{number}", "w") as file:
                    file.write(str(turn))
                assert Path(f"/state/meta/{number}").read_text() == str(turn)
        except Exception as error:  # noqa: BLE001 # told below, where the test sees it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert errors == []
    assert len(meta.keys) == 8

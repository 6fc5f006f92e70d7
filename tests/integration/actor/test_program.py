"""The worker as a program: signals, exit codes, settings."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from servers import forking
from servers.forking import Process
from servers.ports import free_port
from tests.support.actors import Mesh
from tests.support.connector import connector
from tests.support.waiting import until

PROGRAM = "tests.integration.actor.worker_process"
SETTINGS = {
    "ASYA_ACTOR_NAME": "echo",
    "ASYA_HANDLER": "tests.support.handlers.echo",
    "ASYA_METRICS_PORT": "-1",
    "ASYA_LOG_FORMAT": "text",
}


def start(*words: str, **environment: str) -> Process:
    """A worker that the variables describe, or with words a command of `asya`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASYA_")}
    module = ["asya_cli", *words] if words else [PROGRAM]
    return forking.start(*module, env=kept | environment, stderr=subprocess.PIPE)


async def said_by(process: Process, seconds: float) -> bytes:
    """What it writes to stderr until it ends, which it does within so many seconds."""
    _, said = await asyncio.to_thread(process.communicate, seconds)
    return bytes(said)


async def killed(process: Process) -> None:
    """If it still runs."""
    process.kill()
    await asyncio.to_thread(process.wait, 20)


async def test_sigterm_ends_the_program_with_0(mesh: Mesh) -> None:
    url = mesh.gateway.settings.database_url
    process = start(**SETTINGS, ASYA_DATABASE_URL=url, ASYA_GATEWAY_URL=mesh.url)
    try:
        await mesh.run()
        assert (await mesh.ended(await mesh.submit(["echo"], {"a": 1}), 30))["result"] == {"a": 1}
        process.send_signal(signal.SIGTERM)
        said = await said_by(process, 20)
        assert process.returncode == 0, said
        assert b"Traceback" not in said
    finally:
        await killed(process)


async def test_the_program_runs_on_uvloop_and_says_how_many_messages_an_async_handler_gets(mesh: Mesh) -> None:
    url = mesh.gateway.settings.database_url
    settings = SETTINGS | {"ASYA_HANDLER": "tests.support.handlers.loop_of"}
    process = start(**settings, ASYA_DATABASE_URL=url, ASYA_GATEWAY_URL=mesh.url)
    try:
        await mesh.run()
        assert (await mesh.ended(await mesh.submit(["echo"], {}), 30))["result"] == "uvloop"
    finally:
        process.terminate()
        said = await said_by(process, 20)
    assert b"echo runs up to 64 messages at a time" in said


@asynccontextmanager
async def several(mesh: Mesh, port: int) -> AsyncIterator[Process]:
    """An actor in two processes, ready."""
    environment = {
        "ASYA_DATABASE_URL": mesh.gateway.settings.database_url,
        "ASYA_GATEWAY_URL": mesh.url,
        "ASYA_METRICS_HOST": "127.0.0.1",
        "ASYA_METRICS_PORT": str(port),
        "ASYA_LOG_FORMAT": "text",
    }
    words = ["actor", "--name", "echo", "--handler", "tests.support.handlers.pid_of", "--processes", "2"]
    process = start(*words, **environment)
    try:
        await until(lambda: fetched(port, "/health/ready")[0] == 200, seconds=40, what="two ready processes")
        yield process
    finally:
        await killed(process)


def fetched(port: int, path: str) -> tuple[int, str]:
    """Status and text; (0, "") while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


async def test_several_processes_share_a_queue_and_show_their_metrics_and_health_as_one(mesh: Mesh) -> None:
    await mesh.run()
    port = free_port()
    async with several(mesh, port) as process:
        ids = [await mesh.submit(["echo"], {}) for _ in range(6)]
        children = {child.pid for child in psutil.Process(process.pid).children()}
        assert len(children) == 2
        assert {(await mesh.ended(task_id, 30))["result"] for task_id in ids} <= children

        async def counted() -> bool:
            status, text = await asyncio.to_thread(fetched, port, "/metrics")
            return status == 200 and 'asya_actor_handler_seconds_count{actor="echo"} 6.0' in text

        await until(counted, seconds=20, what="the messages of both processes")
        assert fetched(port, "/health")[0] == 200
        process.send_signal(signal.SIGTERM)
        said = await said_by(process, 30)
        assert process.returncode == 0, said
        assert b"Traceback" not in said


async def test_when_one_of_several_processes_dies_all_end_and_when_the_first_dies_the_others_do_too(mesh: Mesh) -> None:
    port = free_port()
    async with several(mesh, port) as process:
        one, other = psutil.Process(process.pid).children()
        one.kill()
        await said_by(process, 30)
        assert process.returncode == 1
        assert not other.is_running()
    async with several(mesh, port) as process:
        children = psutil.Process(process.pid).children()
        process.kill()
        await until(lambda: not any(child.is_running() for child in children), seconds=30, what="the end of both")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ASYA_HANDLER": "tests.support.handlers.gone", "ASYA_DATABASE_URL": "postgresql://x"}, b"has no gone"),
        ({"ASYA_TRANSPORT": "pigeons"}, b"ASYA_TRANSPORT"),
        ({}, b"ASYA_DATABASE_URL"),
    ],
)
async def test_settings_that_make_no_sense_end_it_with_2_and_their_name(changes: dict[str, str], says: bytes) -> None:
    process = start(**(SETTINGS | changes))
    said = await said_by(process, 20)
    assert process.returncode == 2, said
    assert says in said
    assert b"Traceback" not in said


async def test_sigterm_while_the_handler_is_being_loaded_ends_the_program_at_once(tmp_path: Path) -> None:
    """Loading may take longer than the grace, and a library in C hears of no signal meanwhile."""
    reached, held = tmp_path / "reached", tmp_path / "held"
    os.mkfifo(held)
    module = f"import ctypes\nopen({str(reached)!r}, 'w').close()\nctypes.CDLL(None).open({str(held)!r}.encode(), 0)\n"
    (tmp_path / "slow_to_load.py").write_text(module)
    process = start(
        **SETTINGS
        | {"ASYA_HANDLER": "slow_to_load.run", "ASYA_DATABASE_URL": "postgresql://127.0.0.1:1/x"}
        | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    )
    try:
        await until(reached.exists, seconds=20)
        process.send_signal(signal.SIGTERM)
        said = await said_by(process, 10)
        assert process.returncode == 0, said
        assert b"SIGTERM while the handler was being loaded" in said
    finally:
        await killed(process)


@pytest.mark.parametrize(("host", "code"), [("127.0.0.1", 1), ("192.0.2.1", 2)])
async def test_a_port_in_use_ends_it_with_1_and_an_address_of_another_machine_with_2(host: str, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = {"ASYA_METRICS_HOST": host, "ASYA_METRICS_PORT": str(taken.getsockname()[1])}
        process = start(**SETTINGS | {"ASYA_DATABASE_URL": "postgresql://127.0.0.1:1/x"} | where)
        said = await said_by(process, 20)
    assert process.returncode == code, said
    assert b"ASYA_METRICS_HOST" in said
    assert b"Traceback" not in said


async def test_a_handler_of_a_running_worker_keeps_its_files_in_the_store(mesh: Mesh, tmp_path: Path) -> None:
    where = {
        "ASYA_DATABASE_URL": mesh.gateway.settings.database_url,
        "ASYA_GATEWAY_URL": mesh.url,
        "ASYA_STATE_PROXY_MOUNTS": "visits:/state/visits:write=buffered",
        "ASYA_STATE_PROXY_FOLDER": str(tmp_path),
    }
    names = {"counter": "count", "reader": "read"}
    with connector(tmp_path, "visits") as store:
        processes = [
            start(**SETTINGS | where | {"ASYA_ACTOR_NAME": actor, "ASYA_HANDLER": f"tests.support.stateful.{name}"})
            for actor, name in names.items()
        ]
        try:
            await mesh.run()
            for turn in (1, 2):
                task = await mesh.ended(await mesh.submit(["counter"], {"who": "ada", "at": turn}), 30)
                assert task["result"] == {"who": "ada", "at": turn, "visits": turn, "known": ["ada.json"]}
            assert store.keys == {"ada.json": b"[1, 2]"}
            task = await mesh.ended(await mesh.submit(["reader"], {"who": "ada"}), 30)
            assert task["result"] == {"read": [1, 2]}
            task = await mesh.ended(await mesh.submit(["reader"], {"who": "../../../etc/passwd\0"}), 30)
            assert (task["status"], task["error"]["details"]["type"]) == ("failed", "PermissionError")
            task = await mesh.ended(await mesh.submit(["reader"], {"who": "bob"}), 30)
            assert (task["status"], task["error"]["details"]["type"]) == ("failed", "FileNotFoundError")
        finally:
            for process in processes:
                process.kill()
                await said_by(process, 20)
    assert not Path("/state").exists()

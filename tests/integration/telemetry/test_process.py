"""A gateway as a process of its own: its stdout is lines of JSON, its /metrics answers, its mistakes exit with 2."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from servers.ports import free_port
from tests.support.gateway import FLOWS
from tests.support.waiting import until

RUN = "import sys; from asya_cli.main import main; sys.argv[1:] = ['serve']; main()"
WITHOUT_SDK = "import sys; sys.modules['opentelemetry.sdk'] = None; " + RUN


def environment(database_url: str, folder: Path, **more: str) -> dict[str, str]:
    flows = folder / "flows.yaml"
    flows.write_text(json.dumps({"flows": FLOWS}))
    ours = {
        "ASYA_GATEWAY_MODE": "testing",
        "ASYA_GATEWAY_HOST": "127.0.0.1",
        "ASYA_GATEWAY_PORT": "0",
        "ASYA_METRICS_PORT": str(free_port()),
        "ASYA_DATABASE_URL": database_url,
        "ASYA_CONFIG_PATH": str(flows),
        "ASYA_POD_NAME": "pod-7",
    }
    return {"PATH": os.environ["PATH"], **ours, **more}


async def test_stdout_is_json_from_the_first_line_to_the_last_and_metrics_answer(
    database_url: str, tmp_path: Path
) -> None:
    parts = urlsplit(database_url)
    secret = urlunsplit(parts._replace(netloc=f"{parts.username}:hunter2@{parts.hostname}:{parts.port}"))
    env = environment(secret, tmp_path, ASYA_LOG_LEVEL="debug")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with aiohttp.ClientSession() as session:

            async def up() -> bool:
                try:
                    async with session.get(f"http://127.0.0.1:{env['ASYA_METRICS_PORT']}/metrics") as response:
                        text = await response.text()
                except aiohttp.ClientConnectionError:
                    return False
                return "asya_database_up 1.0" in text and "process_resident_memory_bytes" in text

            await until(up, seconds=30, what="asya_database_up 1.0")
        process.terminate()
        stdout, stderr = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    found = [json.loads(line) for line in stdout.decode().splitlines()]
    assert process.returncode == 0, stderr.decode()
    assert stderr == b""
    assert len(found) >= 3
    assert {line["pod"] for line in found} == {"pod-7"}
    assert any(line["message"] == "SIGTERM: draining" for line in found)
    [warning] = [line for line in found if line["message"].startswith("callers are not authenticated")]
    assert warning["level"] == "warning"
    assert b"hunter2" not in stdout


async def test_tracing_without_the_sdk_exits_with_2_and_says_what_to_install(database_url: str, tmp_path: Path) -> None:
    env = environment(database_url, tmp_path, ASYA_OTEL_ENABLED="true")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WITHOUT_SDK, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert "pip install 'asya[telemetry]'" in stderr.decode()


async def test_tracing_with_the_sdk_exports_to_the_collector_that_otel_variables_name(
    database_url: str, tmp_path: Path
) -> None:
    asked: list[str] = []

    async def collect(request: aiohttp.web.Request) -> aiohttp.web.Response:
        asked.append(request.path)
        assert b"GET /health" in await request.read()
        return aiohttp.web.Response()

    app = aiohttp.web.Application()
    app.router.add_post("/v1/traces", collect)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    port = free_port()
    env = environment(
        database_url,
        tmp_path,
        ASYA_OTEL_ENABLED="true",
        ASYA_GATEWAY_PORT=str(port),
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{runner.addresses[0][1]}",
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, env=env, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession() as session:

            async def healthy() -> bool:
                try:
                    async with session.get(f"http://127.0.0.1:{port}/health/ready") as response:
                        return response.status == 200
                except aiohttp.ClientConnectionError:
                    return False

            await until(healthy, seconds=30)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
        assert asked == ["/v1/traces"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await runner.cleanup()


async def test_a_port_in_use_and_an_address_of_another_machine_are_told_in_a_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for changes, code in (
            ({"ASYA_GATEWAY_PORT": port}, 1),
            ({"ASYA_METRICS_PORT": port}, 1),
            ({"ASYA_GATEWAY_HOST": "192.0.2.1"}, 2),
        ):
            env = environment("postgresql://127.0.0.1:1/x", tmp_path, **changes)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", RUN, env=env, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
            )
            _, stderr = await asyncio.wait_for(process.communicate(), 30)
            assert process.returncode == code, stderr.decode()
            assert next(iter(changes)) in stderr.decode()
            assert len(stderr.decode().splitlines()) == 1

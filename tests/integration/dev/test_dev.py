"""`asya dev` keeps going whatever its handlers do, and leaves nothing behind (docs/dev.md)."""

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from asya_cli.dev.folders import folder_of
from servers.processes import wait_until
from tests.support.dev import DevRun, dev_run, run_asya

# Several start and end whole runs, one after the other.
pytestmark = pytest.mark.timeout(400)

FLOWS = """
flows:
  - name: work
    entrypoint: worker
    timeout: 60s
    mcp: {inputSchema: {type: object, properties: {do: {type: string}}}}
"""
ACTORS = """
actors:
  - name: worker
    handler: handlers.work
    env: {GREETING: hello}
"""
HANDLERS = """
import os
import subprocess

def work(payload):
    match payload.get("do"):
        case "crash":
            os._exit(3)
        case "raise":
            raise ValueError("no such thing")
        case "stdin":
            return {"read": subprocess.run(["cat"], stdout=subprocess.PIPE, timeout=30).stdout.decode()}
        case "cut":
            raise ValueError("no \\ud83d here \\x1b]0;owned\\x07")
        case "print":
            print("a line of the handler")
    return {"said": os.environ["GREETING"], "pid": os.getpid()}
"""
FILES = {"flows.yaml": FLOWS, "actors.yaml": ACTORS, "handlers.py": HANDLERS}
OTHER_SERVERS = {
    "PGHOST": "nowhere.example",
    "PGPORT": "6543",
    "PGUSER": "somebody",
    "PGDATABASE": "theirs",
    "PGPASSWORD": "theirs",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/nowhere",
    "PGSSLNEGOTIATION": "direct",
    "PGTARGETSESSIONATTRS": "read-only",
    "PGSERVICE": "theirs",
    "PGDATA": "/nowhere",
    "PGOPTIONS": "-c nonsense=1",
}
"""What libpq reads of the environment."""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder with one flow of one actor; what `asya dev` keeps of it is removed after the test."""
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(folder)
    yield folder
    shutil.rmtree(folder_of(folder), ignore_errors=True)


@pytest.fixture(scope="module")
def taken_port() -> Iterator[int]:
    """A port that somebody else listens to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, taken_port: int) -> Iterator[DevRun]:
    """A run for all tests that leave the folder as it is. Its port is taken, and its shell speaks of other servers."""
    folder = tmp_path_factory.mktemp("shared")
    write_project(folder)
    with dev_run(folder, "--ephemeral", "--port", str(taken_port), **OTHER_SERVERS) as started:
        yield started


@pytest.fixture(scope="module")
def unloadable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DevRun, Path]]:
    """A run, and its folder, that began with one handler that cannot be imported and one that is misspelled."""
    folder = tmp_path_factory.mktemp("unloadable")
    write_project(folder)
    (folder / "actors.yaml").write_text(ACTORS + "  - {name: other, handler: other.wrk, env: {GREETING: hello}}\n")
    (folder / "handlers.py").write_text("import nothing_of_that_name\n")
    (folder / "other.py").write_text(HANDLERS)
    with dev_run(folder) as started:
        yield started, folder


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DevRun, Path]]:
    """For `edited`."""
    folder = tmp_path_factory.mktemp("changing")
    write_project(folder)
    with dev_run(folder) as started:
        yield started, folder


@pytest.fixture
def edited(changing: tuple[DevRun, Path]) -> tuple[DevRun, Path]:
    """A run, and its folder to change: at first that of `write_project`, and nothing said of it."""
    run, folder = changing
    before = {name: (folder / name).read_text() for name in FILES}
    run.forget()
    if before != FILES:
        with restarted(run, "changed"):
            write_project(folder)
    if before["flows.yaml"] != FLOWS:
        run.wait_for("flows: work")
    run.forget()
    return run, folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DevRun, Path]]:
    """A run whose tasks are kept, and its folder, below one that is nobody's but the user's."""
    secret = tmp_path_factory.mktemp("secret")
    folder = secret / "project"
    folder.mkdir()
    write_project(folder)
    secret.chmod(0o700)
    try:
        with dev_run(folder, "--port=0") as started:
            yield started, folder
    finally:
        shutil.rmtree(folder_of(folder), ignore_errors=True)


def write_project(folder: Path) -> None:
    """One flow of one actor."""
    for name, text in FILES.items():
        (folder / name).write_text(text)


@contextlib.contextmanager
def restarted(run: DevRun, why: str) -> Iterator[None]:
    """Change a file in the block; after it no process that had loaded the old ones takes a call any more."""
    old = handler_processes(run)
    yield
    run.wait_for(f"{why}: restarting the handlers")
    assert psutil.wait_procs(old, timeout=20)[1] == []
    wait_until(lambda: handler_processes(run) != [], 20, "no new handlers were started")


def handler_processes(run: DevRun) -> list[psutil.Process]:
    """Those that load the folder's files."""
    return run.children('"crew": false')


def call(run: DevRun, do: str = "work", tool: str = "work") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a call."""
    done = run_asya("tool", "call", tool, f"do={do}", url=run.url)
    return done.returncode, done.stdout, done.stderr


def test_a_handler_that_takes_its_process_down_leaves_the_gateway_and_other_tasks_alone(run: DevRun) -> None:
    handle = run_asya("tool", "call", "work", "do=crash", "--no-wait", url=run.url)
    assert handle.returncode == 0, handle.stderr
    run.wait_for("worker: the process of the handlers ended with exit code 3; starting it again")
    run_asya("task", "cancel", json.loads(handle.stdout)["task_id"], url=run.url)
    code, out, err = call(run)
    assert code == 0, err
    assert json.loads(out)["said"] == "hello"
    assert run.process.poll() is None


def test_an_exception_fails_the_task_with_its_message_and_nothing_else(run: DevRun) -> None:
    code, out, err = call(run, "raise")
    assert (code, out) == (1, "")
    assert "no such thing" in err
    assert call(run)[0] == 0


def test_an_exception_whose_text_no_terminal_can_write_ends_its_task_alone(run: DevRun) -> None:
    code, out, err = call(run, "cut")
    assert (code, out) == (1, "")
    for said in (err, run.text):
        assert "\x1b" not in said
    run.wait_for(r"task .* work failed: ValueError: no .* here \\x1b\]0;owned")
    assert call(run)[0] == 0


def test_a_program_that_a_handler_starts_finds_no_input_instead_of_waiting_for_some(run: DevRun) -> None:
    code, out, err = call(run, "stdin")
    assert code == 0, err
    assert json.loads(out) == {"read": ""}


def test_one_actor_that_fails_or_takes_long_to_load_does_not_stop_the_others(project: Path) -> None:
    names = ("slow", "broken", "killed")
    flows = "".join(f"  - {{name: {name}, entrypoint: {name}, timeout: 60s, mcp: {{}}}}\n" for name in names)
    (project / "flows.yaml").write_text(FLOWS + flows)
    actors = "".join(f"  - {{name: {name}, handler: {name}.work}}\n" for name in names)
    (project / "actors.yaml").write_text(ACTORS.replace("env: {GREETING: hello}", "") + actors)
    (project / "handlers.py").write_text("def work(payload):\n    return 'worked'\n")
    (project / "broken.py").write_text("raise RuntimeError('broken on purpose')\n")
    (project / "killed.py").write_text("import os\nos._exit(7)\n")
    wait = "import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.05)\n"
    (project / "slow.py").write_text(wait + "def work(payload):\n    return 'at last'\n")
    with dev_run(project) as run:
        run.wait_for("broken cannot be loaded; waiting for a change")
        assert "RuntimeError: broken on purpose" in run.text
        run.wait_for("the handler of slow is still loading; its calls wait")
        code, out, err = call(run)
        assert (code, out) == (0, "worked\n"), err
        (project / "go").touch()
        run.wait_for("the handler of slow is loaded")
        assert call(run, tool="slow")[1] == "at last\n"
        assert run.process.poll() is None


def test_a_failed_task_shows_where_in_the_users_own_files_and_nothing_of_the_worker(run: DevRun) -> None:
    run_asya("tool", "call", "work", "do=raise", url=run.url)
    run.wait_for(r'asya +│ +File "handlers\.py", line \d+, in work\n.*raise ValueError\("no such thing"\)')
    assert "ValueError: no such thing" in run.text
    assert "asya_actor" not in run.text


def test_what_a_handler_prints_is_shown(run: DevRun) -> None:
    call(run, "print")
    run.wait_for("handlers │ a line of the handler")


def test_a_changed_handler_is_loaded(edited: tuple[DevRun, Path]) -> None:
    run, folder = edited
    assert json.loads(call(run)[1])["said"] == "hello"
    with restarted(run, "actors.yaml changed"):
        (folder / "actors.yaml").write_text(ACTORS.replace("hello", "good morning"))
    assert json.loads(call(run)[1])["said"] == "good morning"
    with restarted(run, "handlers.py changed"):
        (folder / "handlers.py").write_text("def work(payload):\n    return {'said': 'something else'}\n")
    assert json.loads(call(run)[1]) == {"said": "something else"}


def test_a_file_that_cannot_be_imported_waits_for_the_next_change(unloadable: tuple[DevRun, Path]) -> None:
    run, folder = unloadable
    run.wait_for("ModuleNotFoundError: No module named 'nothing_of_that_name'")
    run.wait_for("worker, other: the handlers cannot be loaded; waiting for a change")
    assert f'File "{folder}/handlers.py", line 1' in run.text
    (folder / "handlers.py").write_text(HANDLERS)
    run.wait_for("handlers.py changed")
    assert call(run)[0] == 0


def test_a_mistake_in_actors_yaml_leaves_the_handlers_running(edited: tuple[DevRun, Path]) -> None:
    run, folder = edited
    (folder / "actors.yaml").write_text("actors: [{name: worker}]\n")
    run.wait_for("line 1: actor worker.handler: required field is missing; the running handlers continue")
    block = "resiliency: {policies: {default: {maxAttempts: three, backof: x}}}"
    (folder / "actors.yaml").write_text(f"actors:\n- name: worker\n  handler: handlers.work\n  {block}\n")
    run.wait_for(
        r"actors.yaml: line 4: actor worker.resiliency.policies.default.maxAttempts: expected a whole number; "
        r"line 4: .*default.backof: unknown field \(did you mean backoff\?\); the running handlers continue"
    )
    assert call(run)[0] == 0
    assert "restarting" not in run.text


def test_a_handler_that_is_misspelled_is_told_with_its_actor(unloadable: tuple[DevRun, Path]) -> None:
    run, _ = unloadable
    assert "actors.yaml: actor other: handler is 'other.wrk', and other has no wrk" in run.text


def test_an_actor_that_is_added_together_with_its_flow_is_not_missed(edited: tuple[DevRun, Path]) -> None:
    run, folder = edited
    # What the test before put back may be noticed in the same moment.
    with restarted(run, r"actors\.yaml(, handlers\.py)? changed"):
        (folder / "actors.yaml").write_text(ACTORS + "  - {name: other, handler: handlers.work}\n")
        (folder / "flows.yaml").write_text(FLOWS + "  - {name: more, entrypoint: other, routeNext: [gone, gone]}\n")
    run.wait_for("flows.yaml: more: no actor 'gone' in actors.yaml; its calls will wait")
    assert "no actor 'other'" not in run.text


def test_a_call_that_ends_at_once_is_shown(run: DevRun) -> None:
    handle = run_asya("tool", "call", "work", "--no-wait", url=run.url)
    run.wait_for(f"task {json.loads(handle.stdout)['task_id']} work succeeded")


def test_a_changed_flows_yaml_is_served_without_a_restart_and_its_mistakes_are_named_once(
    edited: tuple[DevRun, Path],
) -> None:
    run, folder = edited
    pid = json.loads(call(run)[1])["pid"]
    more = FLOWS + "  - {name: more, entrypoint: worker, mcp: {}}\n  - {name: wrong, entrypoint: Not_A_Name}\n"
    (folder / "flows.yaml").write_text(more)
    run.wait_for("flows: more, work")
    run.wait_for("flows.yaml: wrong: .*expected an actor name")
    listed = run_asya("tool", "list", url=run.url)
    assert "more" in listed.stdout
    assert "wrong is not served: " in listed.stderr
    code, out, err = call(run, tool="more")
    assert code == 0, err
    assert json.loads(out)["pid"] == pid
    assert run.text.count("expected an actor name") == 1
    (folder / "flows.yaml").write_text("flows:\n- name: work\n  mcp: [\n")
    run.wait_for("flows.yaml: line 4: not YAML")
    broken = run_asya("tool", "list", url=run.url)
    assert "more" in broken.stdout
    assert broken.stderr.startswith("flows.yaml: line 4: not YAML")


def test_libpqs_variables_of_the_shell_disturb_nothing(run: DevRun) -> None:
    assert call(run)[0] == 0


def test_ctrl_c_ends_every_process_and_removes_what_is_ephemeral(project: Path) -> None:
    with dev_run(project) as run:
        assert call(run)[0] == 0
        family = psutil.Process(run.process.pid).children(recursive=True)
        (data,) = (Path(part) for child in run.children("-D") for part in child.cmdline() if part.endswith("/data"))
        assert data.parent.name.startswith("ephemeral-")
        assert data.exists()
        assert run.interrupt() == 0
        _gone, alive = psutil.wait_procs(family, timeout=5)
        assert not alive
        assert "Traceback" not in run.text
    assert not data.parent.exists()


def test_a_killed_run_takes_its_children_along_and_the_next_one_finds_its_tasks_and_an_older_flows_yaml(
    project: Path,
) -> None:
    with dev_run(project, "--port=0") as run:
        assert call(run)[0] == 0
        # What the next run finds was served before, and something else after it.
        (project / "flows.yaml").write_text(FLOWS.replace("name: work", "name: renamed"))
        run.wait_for("flows: renamed")
        family = psutil.Process(run.process.pid).children(recursive=True)
        run.process.kill()
        _gone, alive = psutil.wait_procs(family, timeout=20)
        assert not alive
    (project / "flows.yaml").write_text(FLOWS)
    with dev_run(project, "--port=0") as run:
        assert "flows: work" in run.text
        listed = json.loads(run_asya("task", "list", "--json", url=run.url).stdout)["tasks"]
        assert [task["status"] for task in listed] == ["succeeded"]
        assert call(run)[0] == 0
    with dev_run(project, "--reset") as run:
        assert json.loads(run_asya("task", "list", "--json", url=run.url).stdout)["tasks"] == []


def test_two_runs_of_one_folder_do_not_harm_each_other(project: Path) -> None:
    with dev_run(project, "--port=0") as first, dev_run(project, "--port=0") as second:
        assert "another `asya dev` runs" in second.text
        assert first.url != second.url
        assert call(first)[0] == call(second)[0] == 0
        assert first.interrupt() == 0
        assert call(second)[0] == 0


def test_a_taken_port_gives_way_to_the_next_and_it_is_said(run: DevRun, taken_port: int) -> None:
    assert f"port {taken_port} is taken; using " in run.text
    assert not run.url.endswith(f":{taken_port}")


def test_a_postgres_that_dies_is_started_again(kept: tuple[DevRun, Path]) -> None:
    run, _ = kept
    (postmaster,) = (child for child in run.children("-D") if child.name() == "postgres")
    postmaster.kill()
    run.wait_for("PostgreSQL ended; starting it again")
    give_up = time.monotonic() + 40
    while call(run)[0] != 0:
        assert time.monotonic() < give_up, run.text


def test_nothing_listens_beyond_this_machine(run: DevRun) -> None:
    processes = [psutil.Process(run.process.pid), *psutil.Process(run.process.pid).children(recursive=True)]
    listening = [
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) == {"127.0.0.1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="the folders above the data are root's own only for root")
def test_no_folder_above_the_data_becomes_readable_to_others(kept: tuple[DevRun, Path]) -> None:
    _, folder = kept
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert (folder_of(folder) / "data").stat().st_mode & 0o077 == 0
    assert (folder_of(folder) / "run").stat().st_mode & 0o077 == 0

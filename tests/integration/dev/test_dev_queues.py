"""`asya dev` with the queue system of the shell's ASYA_TRANSPORT (docs/dev.md, "Another queue system")."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from asya_cli.dev.folders import folder_of
from servers.ports import free_port
from servers.sqs import CREDENTIALS, SqsServer
from tests.integration.dev.test_dev import write_project
from tests.support.dev import DevRun, dev_run, run_asya

pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(folder)
    yield folder
    shutil.rmtree(folder_of(folder), ignore_errors=True)


def test_a_run_over_a_stand_in_of_sqs_needs_its_address_and_keys_only(folder: Path, moto_server: SqsServer) -> None:
    sqs = {"ASYA_TRANSPORT": "sqs", "AWS_ENDPOINT_URL": moto_server.url, "ASYA_NAMESPACE": "dev", **CREDENTIALS}
    with dev_run(folder, **sqs) as run:
        run.wait_for("queues: sqs")
        answer = run_asya("tool", "call", "work", "do=nothing", url=run.url)
        assert answer.returncode == 0, answer.stderr
        assert '"said": "hello"' in answer.stdout
        assert {"asya-dev-worker", "asya-dev-dlq"} <= set(moto_server.queues())
        assert run.interrupt() == 0
        assert "did not end" not in run.text


@pytest.mark.parametrize("what", ["no credentials", "no address", "an unknown name", "no project"])
def test_a_queue_system_that_cannot_be_used_ends_the_run_which_says_what_to_set(folder: Path, what: str) -> None:
    nowhere = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}", "HOME": str(folder)}
    variables, said = {
        "no credentials": (
            {"ASYA_TRANSPORT": "sqs", "AWS_EC2_METADATA_DISABLED": "true", **nowhere},
            "Unable to locate credentials.*Set AWS_ACCESS_KEY_ID.*AWS_ENDPOINT_URL",
        ),
        "no address": ({"ASYA_TRANSPORT": "sqs", **CREDENTIALS, **nowhere}, "Could not connect.*AWS_ENDPOINT_URL"),
        "an unknown name": ({"ASYA_TRANSPORT": "kafka"}, "ASYA_TRANSPORT.*sqs"),
        "no project": ({"ASYA_TRANSPORT": "pubsub"}, "ASYA_PUBSUB_PROJECT_ID"),
    }[what]
    run = DevRun(folder, "--port", "0", "--ephemeral", **variables)
    try:
        run.wait_for(said)
        assert run.process.wait(60) != 0
    finally:
        run.close()

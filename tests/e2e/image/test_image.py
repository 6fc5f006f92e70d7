"""The image, built from the Dockerfile: each program starts as an unprivileged user on a read-only root.

Needs root, buildah and debootstrap (scripts/image-build); no container engine. ASYA_TEST_IMAGE_ROOT names the root
file system of an image that was built already.
"""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from servers.databases import execute
from servers.ports import free_port
from tests.support.waiting import lasts_blocking

ROOT = Path(__file__).parents[3]
TAG = "localhost/asya:image-test"
pytestmark = pytest.mark.timeout(900)

ENTER = """
set -eu
mount --make-rprivate /
mount --rbind "$1" "$1"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -o remount,ro,bind "$1"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
root=$1 user=$2 folder=$3
shift 3
exec chroot --userspec="$user:$user" "$root" env -i -C "$folder" "$@"
"""


def missing(reason: str) -> None:
    """Skip, or fail where nothing may be skipped."""
    if os.environ.get("ASYA_TEST_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class Image:
    """A mounted image: its root file system and its configuration."""

    def __init__(self, root: Path, config: dict[str, object]) -> None:
        self.root = root
        self.config = config
        self.user = str(config["User"]).partition(":")[0]
        self.environment = dict(word.split("=", 1) for word in config["Env"])  # type: ignore[attr-defined]

    def command(self, *words: str, **variables: str) -> list[str]:
        """The image's entry point with these words, as its user, on its root read-only, with /tmp to write to."""
        env = [f"{name}={value}" for name, value in (self.environment | variables).items()]
        entry = [*self.config["Entrypoint"], *words]  # type: ignore[misc]
        script = ["sh", "-c", ENTER, "sh"]
        return ["unshare", "--mount", *script, str(self.root), self.user, str(self.config["WorkingDir"]), *env, *entry]

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            self.command(*words, **variables), capture_output=True, text=True, timeout=120, check=False
        )

    @contextmanager
    def running(self, *words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """A program that serves, ended with SIGTERM."""
        process = subprocess.Popen(
            self.command(*words, **variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """The image, built once."""
    lacking = [name for name in ("buildah", "debootstrap", "unshare") if shutil.which(name) is None]
    if os.geteuid() != 0 or lacking:
        missing(f"building the image needs root, and {', '.join(lacking) or 'nothing else'}")
    built = subprocess.run(
        [str(ROOT / "scripts/image-build"), "--base", "debian", "--tag", TAG],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-4000:]
    inspected = subprocess.run(
        ["buildah", "inspect", "--type", "image", TAG], capture_output=True, text=True, check=True
    )
    container = subprocess.run(
        ["buildah", "from", "--pull-never", TAG], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        mounted = subprocess.run(["buildah", "mount", container], capture_output=True, text=True, check=True)
        yield Image(Path(mounted.stdout.strip()), json.loads(inspected.stdout)["OCIv1"]["config"])
    finally:
        subprocess.run(["buildah", "rm", container], capture_output=True, check=False)


def test_the_image_runs_as_a_numeric_user_that_is_not_root(image: Image) -> None:
    assert image.user.isdigit()
    assert int(image.user) > 0


def test_nothing_of_the_build_stays_in_the_image(image: Image) -> None:
    assert "PIP_CERT" not in image.environment
    assert not (image.root / "src").exists()
    assert not any((image.root / "opt/asya/bin").glob("pip*"))


def test_nothing_of_the_image_can_be_changed_by_its_user(image: Image) -> None:
    writable = [
        path
        for folder in ("opt", "app", "usr", "etc")
        for path in (image.root / folder).rglob("*")
        if not path.is_symlink() and (path.stat().st_mode & 0o002 or path.stat().st_uid == int(image.user))
    ]
    assert writable == []


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["serve", "--help"], ["actor", "--help"], ["migrate", "--help"]]
)
def test_the_command_answers(image: Image, words: list[str]) -> None:
    done = image.run(*words)
    assert done.returncode == 0, done.stderr
    assert "asya" in done.stdout


def test_a_wrong_setting_ends_the_gateway_with_2(image: Image) -> None:
    done = image.run("serve", ASYA_GATEWAY_MODE="both")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ASYA_GATEWAY_MODE: expected one of api, mesh, testing")


def test_every_program_of_a_deployment_starts(image: Image, empty_database_url: str, tmp_path: Path) -> None:
    migrated = image.run("migrate", ASYA_DATABASE_URL=empty_database_url)
    assert migrated.returncode == 0, migrated.stderr
    assert "applied 0001_tasks" in migrated.stdout
    assert image.run("migrate", ASYA_DATABASE_URL=empty_database_url).stdout == "the schema is up to date\n"
    execute(empty_database_url, "SELECT 1 FROM tasks")
    common = {
        "ASYA_DATABASE_URL": empty_database_url,
        "ASYA_GATEWAY_HOST": "127.0.0.1",
        "ASYA_METRICS_HOST": "127.0.0.1",
    }
    for mode in ("api", "mesh"):
        port, metrics = free_port(), free_port()
        variables = common | {"ASYA_GATEWAY_PORT": str(port), "ASYA_METRICS_PORT": str(metrics)}
        with image.running("serve", ASYA_GATEWAY_MODE=mode, **variables) as process:
            assert answer(process, f"http://127.0.0.1:{port}/health/ready") == 200
    for words in (["--crew"], ["--name", "echo", "--handler", "json.dumps"]):
        metrics = free_port()
        with image.running("actor", *words, **common, ASYA_METRICS_PORT=str(metrics)) as process:
            assert answer(process, f"http://127.0.0.1:{metrics}/health/ready") == 200


def answer(process: subprocess.Popen[str], url: str, timeout: float = 60.0) -> int:
    """The status of the URL once it is 200, or the last one after `timeout` seconds."""
    give_up, status = time.monotonic() + timeout, 0
    while time.monotonic() < give_up and status != 200:
        if process.poll() is not None:
            assert process.stdout is not None
            pytest.fail(f"the program ended with {process.returncode}: {process.stdout.read()[-3000:]}")
        with suppress(OSError), urllib.request.urlopen(url, timeout=2) as response:
            status = response.status
        lasts_blocking(0.1)
    return status

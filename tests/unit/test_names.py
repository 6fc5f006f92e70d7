"""One name stands for one thing: a public class has a name that no class of another package has."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("crds", "gateway", "operator")

TRANSPORT = "a part that several queue systems need; they must not import each other (pyproject.toml)"
BOTH_PROGRAMS = "the same thing in gateway and worker, which must not import each other"
SHARED = {
    "Acknowledgements": (TRANSPORT, {"asya_transports.pubsub", "asya_transports.postgres"}),
    "Holder": (TRANSPORT, {"asya_transports.sqs", "asya_transports.pubsub", "asya_transports.rabbitmq"}),
    "Lease": (TRANSPORT, {"asya_transports.sqs", "asya_transports.pubsub"}),
    "LeaseKeeper": (TRANSPORT, {"asya_transports.sqs", "asya_transports.pubsub", "asya_transports.postgres"}),
    "Publication": (TRANSPORT, {"asya_transports.pubsub", "asya_transports.rabbitmq"}),
    "Publisher": (TRANSPORT, {"asya_transports.sqs", "asya_transports.pubsub", "asya_transports.rabbitmq"}),
    "Received": (TRANSPORT, {"asya_transports.sqs", "asya_transports.pubsub"}),
    "Topology": (TRANSPORT, {"asya_transports.pubsub", "asya_transports.rabbitmq"}),
    "JsonLines": (BOTH_PROGRAMS, {"asya_gateway.exposition", "asya_actor.telemetry"}),
    "TextLines": (BOTH_PROGRAMS, {"asya_gateway.exposition", "asya_actor.telemetry"}),
    "TracingUnavailable": (BOTH_PROGRAMS, {"asya_gateway.exposition", "asya_actor.telemetry"}),
    "InvalidParams": (
        "the name that JSON-RPC gives to the error; A2A and MCP map it to bodies of their own",
        {"asya_gateway.protocols.a2a", "asya_gateway.protocols.mcp"},
    ),
}
"""For each name that several packages may use: the reason, and the packages."""


def public_classes(source: str) -> Iterator[str]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def packages_by_name(files: Mapping[str, list[str]]) -> dict[str, set[str]]:
    """The names that classes of several packages have, with these packages. `files`: sources by package."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for package, sources in files.items():
        for source in sources:
            for name in public_classes(source):
                found[name].add(package)
    return {name: packages for name, packages in found.items() if len(packages) > 1}


@pytest.fixture(scope="module")
def repeated() -> dict[str, set[str]]:
    files: defaultdict[str, list[str]] = defaultdict(list)
    for folder in SOURCES:
        for file in (ROOT / folder).rglob("*.py"):
            files[".".join(file.relative_to(ROOT / folder).parts[:-1])].append(file.read_text())
    assert len(files) > 50
    return packages_by_name(files)


def test_the_search_finds_public_classes_of_several_packages_alone() -> None:
    one, other = "class A: ...\nclass _B: ...\nclass C: ...", "class A:\n    class C: ...\nclass _B: ..."
    assert packages_by_name({"one": [one], "other": [other]}) == {"A": {"one", "other"}}
    assert packages_by_name({"one": [one, other]}) == {}


def test_no_two_packages_have_a_public_class_of_one_name(repeated: dict[str, set[str]]) -> None:
    unexpected = {name: packages - SHARED.get(name, ("", set()))[1] for name, packages in repeated.items()}
    assert {name: repeated[name] for name, packages in unexpected.items() if packages} == {}


def test_no_exception_is_out_of_date(repeated: dict[str, set[str]]) -> None:
    assert {name: packages for name, (_, packages) in SHARED.items() if repeated.get(name) != packages} == {}

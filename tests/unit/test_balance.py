"""How tests are shared out to workers."""

import re
from pathlib import Path

import pytest
from xdist.remote import Producer

from tests.balance import GROUPS, TESTS, group_of, sort

EXPENSIVE = re.compile(
    r"\b(control_plane|rabbitmq_node|rabbitmq_url|rabbitmq_vhost_url): |fixturevalue\(\"(rabbitmq_\w+)"
)
APART = {"faults", "rollout", "e2e", "chart"}
"""Folders with commands of their own."""
MODULES = [module for module in sorted(TESTS.rglob("test_*.py")) if module.parts[-2] not in APART]


def test_every_module_that_is_named_is_there_and_named_once() -> None:
    named = [module for modules in GROUPS.values() for module in modules]
    assert len(named) == len(set(named))
    assert [module for module in named if not (TESTS / module).exists()] == []


def test_modules_that_ask_for_an_expensive_server_belong_to_groups_that_share_it() -> None:
    others = [module for module in MODULES if module != Path(__file__)]
    asked = {module: {match[0] for match in EXPENSIVE.finditer(module.read_text())} for module in others}
    apart = {module.name: names for module, names in asked.items() if names and group_of(module) not in GROUPS}
    assert any(asked.values())
    assert not apart, f"these ask for expensive servers: {apart}: add them to a group of tests/balance.py"


def test_what_takes_longest_begins_first_and_units_come_last() -> None:
    class Item:
        def __init__(self, place: str) -> None:
            self.path = TESTS / place

    places = ("unit/a.py", "protocol/b.py", "contract/test_transports.py", "kubernetes/test_actors.py")
    items = [Item(name) for name in places]
    sort(items)  # type: ignore[arg-type]
    assert [item.path.name for item in items] == ["test_actors.py", "test_transports.py", "b.py", "a.py"]


def test_workers_get_whole_groups(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise every test would go to whichever worker is free, and each worker would start every server."""
    monkeypatch.setattr(pytestconfig.option, "dist", "loadscope")
    monkeypatch.setattr(pytestconfig.option, "tx", ["popen"], raising=False)
    scheduler = pytestconfig.hook.pytest_xdist_make_scheduler(config=pytestconfig, log=Producer("test"))
    nodes = ("tests/kubernetes/test_resilience.py::test_a[x::y]", "tests/kubernetes/test_crds.py::test_b")
    assert {scheduler._split_scope(node) for node in nodes} == {"control plane 1"}
    assert scheduler._split_scope("tests/unit/test_dsn.py::TestClass::test_c") == "unit/test_dsn.py"

"""How tests are shared out to workers."""

import re
from pathlib import Path

import pytest

from tests.balance import GROUPS, TESTS, balance, group_of

EXPENSIVE = re.compile(
    r"\b(control_plane|rabbitmq_node|rabbitmq_url|rabbitmq_vhost_url): |fixturevalue\(\"(rabbitmq_\w+)"
)
MODULES = [
    module for module in sorted(TESTS.rglob("test_*.py")) if module.parts[-2] not in ("faults", "rollout", "e2e")
]


def test_every_module_that_is_named_is_there_and_named_once() -> None:
    named = [module for modules in GROUPS.values() for module in modules]
    assert len(named) == len(set(named))
    assert [module for module in named if not (TESTS / module).exists()] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.relative_to(TESTS).as_posix())
def test_a_module_that_asks_for_an_expensive_server_belongs_to_a_group_that_shares_it(module: Path) -> None:
    if module == Path(__file__):
        return
    asked = {match[0] for match in EXPENSIVE.finditer(module.read_text())}
    if asked:
        assert group_of(module) in GROUPS, f"{module.name} asks for {asked}: add it to a group of tests/balance.py"


def test_what_takes_longest_begins_first_and_units_come_last() -> None:
    class Item:
        def __init__(self, place: str) -> None:
            self.path = TESTS / place
            self.markers: list[pytest.MarkDecorator] = []

        def add_marker(self, marker: pytest.MarkDecorator) -> None:
            self.markers.append(marker)

    items = [
        Item(name) for name in ("unit/a.py", "protocol/b.py", "contract/test_servers.py", "kubernetes/test_actors.py")
    ]
    balance(items)  # type: ignore[arg-type]
    assert [item.path.name for item in items] == ["test_actors.py", "test_servers.py", "b.py", "a.py"]
    assert [item.markers[0].args for item in items] == [
        ("control plane 1",),
        ("broker",),
        ("protocol/b.py",),
        ("unit/a.py",),
    ]

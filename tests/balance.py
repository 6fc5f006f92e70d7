"""Which tests run in one worker, and in which order, where several workers share the machine (scripts/test).

The tests of a module stay together, because they share what the module set up. Modules that start an expensive server
share a group, so that there are three control planes and one broker however many workers there are. The longest groups
begin first, so that no worker is left alone with one at the end.

A control plane costs three seconds of a core, and its tests wait far longer than they compute, for leases that run out,
watches and restarts: three groups of them end in two thirds of the time of two.
"""

from functools import cache
from pathlib import Path

import pytest
from typing_extensions import override
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent
GROUPS = {
    "control plane 1": [
        "kubernetes/test_resilience.py",
        "kubernetes/test_crds.py",
        "kubernetes/test_pods.py",
    ],
    "control plane 2": [
        "kubernetes/test_high_availability.py",
        "kubernetes/test_manifests.py",
        "kubernetes/test_rbac.py",
    ],
    "control plane 3": [
        "kubernetes/test_actors.py",
        "kubernetes/test_registry.py",
        "kubernetes/test_flow_commands.py",
        "kubernetes/test_gateway.py",
    ],
    "asya dev": ["integration/dev/test_dev.py"],
    "broker": [
        "contract/test_transports.py",
        "contract/test_limits.py",
        "contract/test_rabbitmq_topology.py",
        "contract/test_rabbitmq_properties.py",
        "contract/test_rabbitmq_surplus.py",
        "contract/test_rabbitmq_tls.py",
        "contract/test_autoscaling.py",
        "integration/delivery/test_dispatcher.py",
        "integration/actor/test_on_rabbitmq.py",
        "integration/actor/test_dead_letters.py",
        "integration/actor/test_latency_timers.py",
        "integration/operator/test_queues.py",
    ],
    "held loops": ["integration/http/test_event_loop.py"],
    "many values": ["integration/registry/test_many_values.py"],
    "descriptions": ["protocol/test_openapi.py", "protocol/test_registry_openapi.py"],
}
"""The groups that take longest, in the order in which they begin; every other module is a group of its own."""

_GROUP_OF = {module: name for name, modules in GROUPS.items() for module in modules}
_RANK = {name: number for number, name in enumerate(GROUPS)}
_LAST = len(_RANK)


@cache  # asked for every test, several times
def group_of(module: Path) -> str:
    """The name of the group that a module belongs to."""
    place = module.relative_to(TESTS).as_posix()
    return _GROUP_OF.get(place, place)


def sort(items: list[pytest.Item]) -> None:
    """Sort the longest groups first and unit tests last: groups begin in the order of their first tests."""
    items.sort(key=lambda item: _rank(item.path))


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """`--dist loadscope` with groups of modules as scopes."""

    @override
    def _split_scope(self, nodeid: str) -> str:
        return _scope_of(nodeid.partition("::")[0])


@cache
def _scope_of(place: str) -> str:
    return group_of(TESTS.parent / place)


@cache
def _rank(module: Path) -> tuple[int, bool]:
    return _RANK.get(group_of(module), _LAST), module.is_relative_to(TESTS / "unit")

"""What a process remembers of its callers is a part of its memory budget, whoever calls, and however many do."""

import gc

import pytest

from asya_gateway.composition.memory import memory_of
from asya_gateway.composition.program import Gateway
from asya_gateway.domain.rates import Rates
from asya_gateway.domain.weighed import WeighedCache
from asya_gateway.settings import Mode
from asya_gateway.storage.channels.announcing import DestinationAnnouncements
from asya_schemas import compiling
from tests.support.gateway import make_settings

MIB = 1024 * 1024
TOTAL = int(0.33 * 512 * MIB)
"""The budget of a process in a container of 512 MiB."""


def remembered() -> dict[int, tuple[object, int]]:
    """Everything in this process that is bounded by its bytes, and how many."""
    found: dict[int, tuple[object, int]] = {}
    for each in gc.get_objects():
        if isinstance(each, WeighedCache):
            found[id(each)] = each, each.most
        elif isinstance(each, Rates | DestinationAnnouncements):
            found[id(each)] = each, each.most_bytes
    return found


@pytest.fixture
def schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of compiled schemas belongs to all tests of this process."""
    monkeypatch.setattr(compiling, "_kept", compiling._Kept())


@pytest.mark.usefixtures("schemas")
@pytest.mark.parametrize("total", [TOTAL, 64 * MIB, 4 * TOTAL])
async def test_caches_and_names_that_are_counted_have_their_part_of_the_budget(total: int) -> None:
    settings = make_settings(
        database_url="postgresql://nowhere.invalid/none",
        gateway_mode=Mode.API,
        memory_budget=total,
        public_url="https://asya.example.com",
        mcp_oauth_enabled=True,
        mcp_oauth_issuer="https://asya.example.com",
        mcp_oauth_secret="h" * 40,
        mcp_oauth_registration_token="r" * 40,
        seal_keys="s" * 44,
        rate_per_principal=10,
        rate_per_flow=10,
    )
    before = remembered()
    gateway = Gateway(settings)
    _app = gateway.web()
    found = [each for key, each in remembered().items() if key not in before]
    kinds = [type(each) for each, _ in found]
    assert kinds.count(Rates) == 6
    assert kinds.count(DestinationAnnouncements) == 1
    together = sum(most for _, most in found)
    assert together + compiling._kept._limit + gateway.budget.total <= total
    assert together < 0.16 * total


@pytest.mark.usefixtures("schemas")
def test_large_processes_remember_no_more_than_is_useful() -> None:
    memory = memory_of(make_settings(memory_budget=100 * 1024 * MIB))
    assert memory.cache == 64 * MIB

"""An API server that asks to be asked again (429, as it does while a fresh CRD is set up) is asked again."""

from typing import Any

import pytest

from asya_cli import flows_cluster
from asya_cli.errors import CliError
from asya_cli.flows_cluster import FlowsCluster
from asya_operator.cluster.rest import ApiResponse, error_of
from asya_operator.domain.errors import Busy


class BusyRest:
    """Answers 429 so many times, then 200."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals

    async def ask(self, *_args: Any, **_options: Any) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise error_of(ApiResponse(429, {"message": "storage is (re)initializing"}), "GET")
        return {"items": [{"metadata": {"name": "shout"}}]}


async def test_a_busy_api_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows_cluster, "LOOK_EVERY", 0.0)
    cluster = FlowsCluster(BusyRest(3), "default")  # type: ignore[arg-type] # only `ask` is called
    assert await cluster.resources() == [{"metadata": {"name": "shout"}}]


async def test_a_server_that_stays_busy_is_unreachable_with_its_own_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows_cluster, "BUSY_PATIENCE", 0.0)
    cluster = FlowsCluster(BusyRest(1_000_000), "default")  # type: ignore[arg-type] # only `ask` is called
    with pytest.raises(CliError, match=r"re\)initializing"):
        await cluster.resources()


def test_429_is_busy() -> None:
    assert isinstance(error_of(ApiResponse(429, None), "GET /x"), Busy)

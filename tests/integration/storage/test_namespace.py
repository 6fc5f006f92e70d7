"""A database belongs to one namespace."""

import asyncio

import asyncpg
import pytest
from typer.testing import CliRunner

from asya_cli.errors import CliError
from asya_cli.main import app
from asya_gateway.composition.program import Gateway
from asya_gateway.storage.namespace import NamespaceTaken, claim, hand_over
from tests.support.gateway import make_settings


async def test_the_first_namespace_has_the_database_and_another_is_refused_with_both_names(database_url: str) -> None:
    first, other = [await asyncpg.connect(database_url) for _ in range(2)]
    try:
        outcomes = await asyncio.gather(claim(first, "prod"), claim(other, "test"), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(NamespaceTaken) == 1
        owner = await first.fetchval("SELECT namespace FROM installation")
        await claim(first, owner)
        loser = {"prod": "test", "test": "prod"}[owner]
        assert await hand_over(other, loser) == owner
        await claim(other, loser)
        with pytest.raises(NamespaceTaken, match=f"'{loser}', and this gateway serves '{owner}'"):
            await claim(first, owner)
    finally:
        await first.close()
        await other.close()


async def test_a_gateway_of_another_namespace_does_not_start_until_the_database_is_handed_over(
    database_url: str,
) -> None:
    async with Gateway(make_settings(database_url=database_url, namespace="prod", metrics_port=0)).running():
        pass
    stranger = make_settings(database_url=database_url, namespace="test", metrics_port=0)
    with pytest.raises(NamespaceTaken, match="asya migrate --namespace test") as refused:
        async with Gateway(stranger).running():
            pytest.fail("the gateway of another namespace started")
    assert "'prod'" in str(refused.value)
    told = await asyncio.to_thread(
        CliRunner().invoke, app, ["migrate", "--database-url", database_url, "--namespace", "test"]
    )
    assert told.output.splitlines() == [
        "the schema is up to date",
        "the database belongs to the namespace test, before to prod",
    ]
    async with Gateway(stranger).running():
        pass


def test_an_invalid_namespace_is_refused_before_anything_is_done() -> None:
    told = CliRunner().invoke(app, ["migrate", "--database-url", "postgresql://nobody/x", "--namespace", "a b"])
    assert isinstance(told.exception, CliError)
    assert told.exception.message.startswith("--namespace: ")

"""Tests of the test servers themselves."""

import asyncpg
import pytest

from servers.postgres import PostgresServer
from servers.processes import ServerUnavailable


async def test_each_test_has_a_database_of_its_own(database_url: str, empty_database_url: str) -> None:
    assert database_url != empty_database_url
    connection = await asyncpg.connect(empty_database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
    finally:
        await connection.close()


@pytest.mark.parametrize("version", ["18", "15"])
async def test_a_killed_postgres_starts_again_with_its_data(version: str) -> None:
    try:
        server = PostgresServer(version)
    except ServerUnavailable as reason:
        pytest.skip(str(reason))
    try:
        server.start()
        connection = await asyncpg.connect(server.url)
        assert (await connection.fetchval("SHOW server_version")).startswith(version)
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
        server.kill()
        server.start()
        connection.terminate()
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("SELECT number FROM kept") == 1
        await connection.close()
    finally:
        server.close()

"""Databases of tests: a template that carries the schema, and a copy of it for each test."""

import asyncio
import importlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

Result = TypeVar("Result")

SCHEMA_STEPS = ["asya_transports.postgres.schema:create_schema", "asya_gateway.storage.migrate:migrate"]
"""What makes a template, in this order: `module:function`, an async function of one connection. A module that
does not exist is left out, so that the tests of one package run without the other."""


def run_apart(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine to its end in a thread of its own: fixtures serve tests with and without a loop."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(work()))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def with_database(url: str, name: str) -> str:
    """The URL with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def execute(url: str, *statements: str) -> None:
    """Run statements one by one on a connection of their own."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    run_apart(work)


def create_template(url: str, name: str) -> None:
    """A new database with the schema of every step that is importable."""
    execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')

    async def work() -> None:
        connection = await asyncpg.connect(with_database(url, name))
        try:
            for step in SCHEMA_STEPS:
                function = find_step(step)
                if function is not None:
                    await function(connection)
        finally:
            await connection.close()

    run_apart(work)


def find_step(step: str) -> Callable[[Any], Awaitable[object]] | None:
    """The function, or None where its module does not exist; an error inside the module is raised."""
    module_name, _, function = step.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            return None
        raise
    found: Callable[[Any], Awaitable[object]] = getattr(module, function)
    return found


def query(url: str, statement: str) -> Any:
    """The first column of the first row of a statement, on a connection of its own."""

    async def work() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return run_apart(work)

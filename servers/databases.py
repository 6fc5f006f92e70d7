"""Databases for tests: a template with the schema, and a copy of it for each test."""

import asyncio
import contextlib
import importlib
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

Result = TypeVar("Result")

SCHEMA_STEPS = ["asya_transports.postgres.schema:create_schema", "asya_gateway.storage.migrate:migrate"]
"""The steps that create a template, in this order: `module:function`, an async function of one connection. A missing
module is left out, so that the tests of one package run without the other."""


def run_apart(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine to its end in a separate thread, because fixtures serve tests with and without an event loop."""
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
    """Run statements one by one on a new connection."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    run_apart(work)


class Databases:
    """Databases of a server, created and dropped on one persistent connection. `url` is of a database in which this is
    allowed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def one(self, template: str | None = None) -> Iterator[str]:
        """The URL of a new database, a copy of the template if one is given; dropped at the end of the block."""
        name = f"asya_test_{uuid.uuid4().hex[:12]}"
        # Copied as files. Otherwise every page would be written to the WAL, and the catalogue cache files, which the
        # first session creates, would not be copied.
        self._run(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}" STRATEGY FILE_COPY' if template else ""))
        try:
            yield with_database(self._url, name)
        finally:
            self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def close(self) -> None:
        """Close the connection and end its thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, statement: str) -> None:
        asyncio.run_coroutine_threadsafe(self._execute(statement), self._loop).result()

    async def _execute(self, statement: str) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url)
        await self._connection.execute(statement)

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


def create_template(url: str, name: str) -> None:
    """Create a database with the schema of every importable step."""
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
        # The first session creates the catalogue cache files, which are then copied too.
        connection = await asyncpg.connect(with_database(url, name))
        await connection.close()

    run_apart(work)


def find_step(step: str) -> Callable[[Any], Awaitable[object]] | None:
    """The function, or None if its module does not exist. Errors inside the module are raised."""
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
    """The first column of the first row of a statement, on a new connection."""

    async def work() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return run_apart(work)

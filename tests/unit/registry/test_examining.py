"""Values whose check would hold the event loop are checked in another process, with the same outcome."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from typing_extensions import override

from asya_crds import jsontext
from asya_crds.offloading import Offload
from asya_schemas.compiling import compile_schema
from asya_schemas.examining import SchemaChecker, examined

NAMES = [f"n{number}" for number in range(1000)]


class Watched(Offload):
    """Counts what was done elsewhere."""

    calls = 0

    @override
    async def run(self, function: str, *arguments: Any) -> Any:
        self.calls += 1
        return await super().run(function, *arguments)


@pytest_asyncio.fixture
async def offload() -> AsyncGenerator[Watched]:
    made = Watched()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"type": "integer"}}, [1] * 30_000),
        ({"items": {"type": "integer"}}, [*[1] * 30_000, "x"]),
        ({"items": {"type": "integer"}}, ["x"] * 2_000),
        ({"items": {"dependentRequired": {name: [] for name in NAMES}}}, [{}] * 10_000),
        ({"items": {"dependentSchemas": {name: {} for name in NAMES[:200]}}}, [{}] * 10_000),
        ({"items": {"required": NAMES}}, [dict.fromkeys(NAMES, 1)] * 2),
        ({"items": {"enum": [{"a": name} for name in NAMES]}}, [{"a": "n999"}] * 1_000),
        ({"items": {"const": NAMES}}, [NAMES] * 10),
        ({"items": {"multipleOf": 0.01}}, [1e308] * 2_000),
        ({"items": {"pattern": "(a|b)+c"}}, ["ab" * 500_000]),
        ({"items": {"type": "string"}}, ["\ud800"] * 30_000),
    ],
    ids=[
        "many values",
        "one of many is wrong",
        "many are wrong",
        "dependentRequired",
        "dependentSchemas",
        "required",
        "enum of objects",
        "const",
        "multipleOf",
        "pattern",
        "lone surrogates",
    ],
)
async def test_what_takes_long_is_checked_elsewhere(schema: dict[str, Any], value: Any, offload: Watched) -> None:
    check = compile_schema(schema)
    violations, text = await SchemaChecker(offload)(check, value)
    assert offload.calls == 1
    here, text_here = examined(check, value)
    assert (list(violations), text) == (list(here), text_here)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"type": "integer"}}, [1] * 1_000),
        ({"properties": {"x": {"multipleOf": 0.01}}}, {"x": 1.25, "y": [1] * 100}),
        ({"items": {"enum": NAMES}}, ["n1"] * 10_000),
        ({"properties": {"x": {"pattern": "^[a-z]+$"}}}, {"x": "a" * 10_000}),
        ({"type": "object"}, {"text": "x" * 1_000_000}),
    ],
)
async def test_what_takes_no_time_is_checked_here(schema: dict[str, Any], value: Any, offload: Watched) -> None:
    assert await SchemaChecker(offload)(compile_schema(schema), value) == ((), jsontext.dumps(value))
    assert offload.calls == 0

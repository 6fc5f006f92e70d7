"""Who sees the tasks of all owners, and that nobody does because something is missing."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import asya_gateway
from asya_gateway.domain.answers import Answer
from asya_gateway.domain.identity.principals import MESH, OPEN, Principal, Via
from asya_gateway.domain.identity.scopes import COMMON_SCOPES, rights_of
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy, OwnerScope, owner_of
from asya_gateway.domain.ports import TaskFilter, TaskStore
from asya_gateway.domain.reports import FinalReport
from asya_gateway.storage.tasks.owners import owner_parameter

PROTOCOLS = Path(asya_gateway.__file__).parent / "protocols"


def test_a_caller_sees_its_own_tasks_and_mesh_those_of_all() -> None:
    assert owner_of(Principal("alice", rights_of(COMMON_SCOPES), Via.KEY)) == OwnedBy("alice")
    assert owner_of(OPEN) == OwnedBy("")
    assert owner_of(MESH) is EVERY_OWNER


def test_a_statement_is_held_to_the_owner_unless_every_owner_is_said() -> None:
    assert owner_parameter(OwnedBy("")) == ""
    assert owner_parameter(EVERY_OWNER) is None
    with pytest.raises(AssertionError):
        owner_parameter(None)  # type: ignore[arg-type]


def test_whose_tasks_is_said_wherever_the_store_is_asked() -> None:
    for record in (TaskFilter, Answer, FinalReport):
        (owner,) = (each for each in dataclasses.fields(record) if each.name == "owner")
        assert owner.type is OwnerScope
        assert owner.default is owner.default_factory is dataclasses.MISSING
    asked = [
        parameter
        for name, method in inspect.getmembers(TaskStore, inspect.isfunction)
        for parameter in inspect.signature(method).parameters.values()
        if parameter.name == "owner" and name != "find_call"
    ]
    assert len(asked) == 5
    assert all(each.annotation is OwnerScope and each.default is inspect.Parameter.empty for each in asked)


def parameters_without_owner(source: str) -> Iterator[str]:
    """`function.parameter` for each parameter that stands for an owner and may be None."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for each in (*function.args.args, *function.args.kwonlyargs):
                if each.arg in ("owner", "caller", "asker") and "None" in ast.unparse(each.annotation or ast.Tuple([])):
                    yield f"{function.name}.{each.arg}"


def test_nothing_that_reads_or_writes_tasks_takes_a_missing_owner() -> None:
    assert list(parameters_without_owner("def find(id: str, owner: str | None, *, n: int | None): ...")) == [
        "find.owner"
    ]
    assert list(parameters_without_owner("async def find(owner: OwnerScope, caller): ...")) == []
    files = [file for folder in ("domain", "storage") for file in (PROTOCOLS.parent / folder).rglob("*.py")]
    assert len(files) > 100
    found = {name for file in files for name in parameters_without_owner(file.read_text())}
    # In a list, None is the caller's own; in an answer, None has the caller's right looked up.
    assert found == {"listed.owner", "answer.owner"}


def test_what_callers_reach_never_asks_for_every_owner() -> None:
    folders = [folder for folder in PROTOCOLS.iterdir() if folder.is_dir() and folder.name != "mesh"]
    assert len(folders) >= 3
    for folder in folders:
        for path in folder.rglob("*.py"):
            # Mode.MESH is the mode of a process, MESH the caller whom every task belongs to.
            assert not re.search(r"\bEVERY_OWNER\b|(?<!Mode\.)\bMESH\b", path.read_text()), path

"""Who sees the tasks of all owners, and that nobody does because something is missing."""

import dataclasses
import inspect
import re
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


def test_what_callers_reach_never_asks_for_every_owner() -> None:
    folders = [folder for folder in PROTOCOLS.iterdir() if folder.is_dir() and folder.name != "mesh"]
    assert len(folders) >= 3
    for folder in folders:
        for path in folder.rglob("*.py"):
            assert not re.search(r"\bEVERY_OWNER\b|\bMESH\b", path.read_text()), path

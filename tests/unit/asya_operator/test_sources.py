"""Changes of other writers that come with the answer to our own write."""

import itertools
from typing import Any
from unittest.mock import MagicMock

import pytest

from asya_operator.domain.health import Health
from asya_operator.domain.ports import Kind
from asya_operator.domain.views import Body
from asya_operator.reconcilers.sources import Sources

_versions = itertools.count(1)


def saved(name: str, *, generation: int = 1, **parts: Any) -> Body:
    metadata = {"name": name, "uid": name, "generation": generation, "resourceVersion": str(next(_versions))}
    metadata |= parts.pop("metadata", {})
    return {"metadata": metadata, **parts}


@pytest.fixture
def sources() -> Sources:
    return Sources(MagicMock(), Health(), (Kind.CONFIGMAPS, Kind.FLOWS, Kind.ACTORS, Kind.DEPLOYMENTS))


def told_by(sources: Sources) -> list[tuple[Kind, str | None]]:
    told: list[tuple[Kind, str | None]] = []
    sources.watch(lambda kind, name: told.append((kind, name)))
    return told


@pytest.mark.parametrize(
    ("kind", "before", "changed"),
    [
        (Kind.CONFIGMAPS, {"data": {"flows.yaml": "flows: []"}}, {"data": {"flows.yaml": "flows: ["}}),
        (Kind.FLOWS, {"generation": 1}, {"generation": 2}),
        (Kind.ACTORS, {"generation": 1}, {"generation": 2}),
    ],
)
def test_a_change_that_comes_with_the_answer_to_our_own_write_is_told(
    sources: Sources, kind: Kind, before: dict[str, Any], changed: dict[str, Any]
) -> None:
    """Its own event is older than the answer, and is no news when it arrives."""
    sources.event(kind, "ADDED", saved("one", **before))
    event = saved("one", **changed)
    told = told_by(sources)
    sources.written(kind, saved("one", **changed, metadata={"annotations": {"ours": "written"}}))
    sources.event(kind, "MODIFIED", event)
    assert told == [(kind, "one")]


def test_our_own_write_notifies_no_listener(sources: Sources) -> None:
    data = {"flows.yaml": "flows: []"}
    sources.event(Kind.CONFIGMAPS, "ADDED", saved("one", data=data))
    sources.event(Kind.FLOWS, "ADDED", saved("one"))
    sources.event(Kind.DEPLOYMENTS, "ADDED", saved("one"))
    told = told_by(sources)
    sources.written(Kind.CONFIGMAPS, saved("one", data=data, metadata={"annotations": {"ours": "written"}}))
    sources.written(Kind.FLOWS, saved("one", status={"observedGeneration": 1}))
    sources.written(Kind.DEPLOYMENTS, saved("one", generation=2))
    assert told == []

"""Changes of other writers that come with the answer to our own write."""

import itertools
from typing import Any
from unittest.mock import MagicMock

import pytest

from asya_operator.domain.health import Health
from asya_operator.domain.ports import WatchedKind
from asya_operator.domain.views import Body
from asya_operator.reconcilers.sources import Sources

_versions = itertools.count(1)


def saved(name: str, *, generation: int = 1, **parts: Any) -> Body:
    metadata = {"name": name, "uid": name, "generation": generation, "resourceVersion": str(next(_versions))}
    metadata |= parts.pop("metadata", {})
    return {"metadata": metadata, **parts}


@pytest.fixture
def sources() -> Sources:
    return Sources(
        MagicMock(), Health(), (WatchedKind.CONFIGMAPS, WatchedKind.FLOWS, WatchedKind.ACTORS, WatchedKind.DEPLOYMENTS)
    )


def told_by(sources: Sources) -> list[tuple[WatchedKind, str | None]]:
    told: list[tuple[WatchedKind, str | None]] = []
    sources.watch(lambda kind, name: told.append((kind, name)))
    return told


@pytest.mark.parametrize(
    ("kind", "before", "changed"),
    [
        (WatchedKind.CONFIGMAPS, {"data": {"flows.yaml": "flows: []"}}, {"data": {"flows.yaml": "flows: ["}}),
        (WatchedKind.FLOWS, {"generation": 1}, {"generation": 2}),
        (WatchedKind.ACTORS, {"generation": 1}, {"generation": 2}),
    ],
)
def test_a_change_that_comes_with_the_answer_to_our_own_write_is_told(
    sources: Sources, kind: WatchedKind, before: dict[str, Any], changed: dict[str, Any]
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
    sources.event(WatchedKind.CONFIGMAPS, "ADDED", saved("one", data=data))
    sources.event(WatchedKind.FLOWS, "ADDED", saved("one"))
    sources.event(WatchedKind.DEPLOYMENTS, "ADDED", saved("one"))
    told = told_by(sources)
    sources.written(WatchedKind.CONFIGMAPS, saved("one", data=data, metadata={"annotations": {"ours": "written"}}))
    sources.written(WatchedKind.FLOWS, saved("one", status={"observedGeneration": 1}))
    sources.written(WatchedKind.DEPLOYMENTS, saved("one", generation=2))
    assert told == []

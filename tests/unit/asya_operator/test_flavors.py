"""What actors share: merged as the public Asya documents say, read once for many."""

from typing import Any
from unittest.mock import AsyncMock

import pytest

from asya_operator.domain.errors import ApiForbidden, KindMissing
from asya_operator.domain.flavors import FlavorConflict, by_name, named_flavors, with_flavors
from asya_operator.reconcilers import flavor_cache
from asya_operator.reconcilers.flavor_cache import FlavorCache, FlavorsMissing

GPU = {
    "nodeSelector": {"accelerator": "t4"},
    "tolerations": [{"key": "gpu"}],
    "resources": {"limits": {"nvidia.com/gpu": "1"}},
}
BUSY = {
    "scaling": {"maxReplicaCount": 50},
    "tolerations": [{"key": "busy"}],
    "resources": {"limits": {"memory": "2Gi"}},
    "actor": "another",
    "flavors": ["more"],
}


def test_between_flavors_lists_are_appended_and_maps_merged() -> None:
    merged = with_flavors({"actor": "a", "flavors": ["gpu", "busy"]}, [("gpu", GPU), ("busy", BUSY)])
    assert merged == {
        "actor": "a",
        "flavors": ["gpu", "busy"],
        "nodeSelector": {"accelerator": "t4"},
        "tolerations": [{"key": "gpu"}, {"key": "busy"}],
        "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "2Gi"}},
        "scaling": {"maxReplicaCount": 50},
    }
    assert GPU["tolerations"] == [{"key": "gpu"}], "nothing of a flavor is changed by its use"


def test_what_the_actor_says_itself_wins_and_its_lists_come_last() -> None:
    own = {"actor": "a", "scaling": {"maxReplicaCount": 3}, "tolerations": [{"key": "own"}], "replicas": None}
    merged = with_flavors(own, [("busy", {**BUSY, "replicas": 4})])
    assert merged["scaling"] == {"maxReplicaCount": 3}
    assert merged["tolerations"] == [{"key": "busy"}, {"key": "own"}]
    assert merged["replicas"] == 4, "a null says nothing"


@pytest.mark.parametrize(
    ("second", "path"),
    [
        ({"nodeSelector": {"accelerator": "a100"}}, "nodeSelector.accelerator"),
        ({"resources": {"limits": {"nvidia.com/gpu": "2"}}}, "resources.limits.nvidia.com/gpu"),
        ({"nodeSelector": "t4"}, "nodeSelector"),
        ({"tolerations": {}}, "tolerations"),
    ],
)
def test_two_flavors_that_set_the_same_conflict_and_are_named(second: dict[str, Any], path: str) -> None:
    with pytest.raises(FlavorConflict, match=f"^spec.flavors: gpu and second both set {path}$"):
        with_flavors({}, [("gpu", GPU), ("second", second)])


def test_a_field_that_is_no_list_of_names_names_no_flavor() -> None:
    assert named_flavors({"spec": {"flavors": ["gpu-t4"]}}) == ["gpu-t4"]
    assert named_flavors({"spec": {"flavors": "gpu-t4"}}) == []
    assert named_flavors({"spec": None}) == []


def config(name: str, label: str, data: Any, created: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"asya.sh/flavor": label}, "creationTimestamp": created}, "data": data}


def test_of_two_with_one_label_the_one_that_is_named_like_it_counts_then_the_older() -> None:
    older = config("first", "gpu", {"replicas": 1})
    younger = config("second", "gpu", {"replicas": 2}, "2026-02-02T00:00:00Z")
    assert by_name([younger, older]) == {"gpu": {"replicas": 1}}
    assert by_name([older, config("gpu", "gpu", {"replicas": 3}, "2026-03-03T00:00:00Z")]) == {"gpu": {"replicas": 3}}
    assert by_name([config("odd", "odd", None)]) == {"odd": {}}


async def test_flavors_are_listed_once_for_many_actors_and_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = AsyncMock()
    cluster.flavors.return_value = [config("gpu", "gpu", GPU)]
    shelf = FlavorCache(cluster)
    for _ in range(3):
        assert await shelf.take(["gpu"]) == [("gpu", GPU)]
    with pytest.raises(FlavorsMissing, match=r"labelled asya\.sh/flavor=tpu; the actor waits"):
        await shelf.take(["gpu", "tpu"])
    assert cluster.flavors.await_count == 1
    monkeypatch.setattr(flavor_cache, "FRESH", 0.0)
    cluster.flavors.return_value = []
    with pytest.raises(FlavorsMissing, match=r"asya\.sh/flavor=gpu"):
        await shelf.take(["gpu"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KindMissing("not installed"), "the cluster has no EnvironmentConfig"),
        (ApiForbidden("may not list"), "may not list; the component `flavors` of the manifests grants it"),
    ],
)
async def test_what_keeps_flavors_from_being_read_is_named(error: Exception, said: str) -> None:
    cluster = AsyncMock()
    cluster.flavors.side_effect = error
    with pytest.raises(FlavorsMissing, match=said):
        await FlavorCache(cluster).take(["gpu"])

"""Flavors: partial specs that several actors share, kept in EnvironmentConfigs (Crossplane's kind).

Merging is pure. Between flavors, lists are appended, maps are merged, and no other field may be set twice. The actor's
own fields take precedence, and its list items come after those of the flavors.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from asya_crds.naming import FLAVOR_LABEL
from asya_operator.domain.views import Body, age

Spec = Mapping[str, Any]
Path = tuple[str, ...]
NOT_SHARED = ("actor", "transport", "flavors")
"""Fields that identify an actor. They are ignored in a flavor."""


class FlavorConflict(ValueError):
    """Two flavors of an actor set the same field. The text names both and the field."""


def named_flavors(body: Body) -> list[str]:
    """The flavors that an AsyncActor names, in order; [] if the field has another type."""
    spec: Any = body.get("spec")
    names = spec.get("flavors") if isinstance(spec, Mapping) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def by_name(configs: Sequence[Body]) -> dict[str, Spec]:
    """The data of each flavor. Of two objects with the same label, the one whose name equals the label wins, then the
    older one."""

    def rank(config: Body) -> tuple[bool, tuple[str, str]]:
        return config["metadata"]["name"] != _label(config), age(config)

    found: dict[str, Spec] = {}
    for config in sorted(configs, key=rank):
        data = config.get("data")
        found.setdefault(_label(config), data if isinstance(data, Mapping) else {})
    return found


def _label(config: Body) -> str:
    return str(config["metadata"]["labels"][FLAVOR_LABEL])


def with_flavors(spec: Spec, flavors: Sequence[tuple[str, Spec]]) -> dict[str, Any]:
    """The actor's spec merged with its flavors. Raises FlavorConflict."""
    merged: dict[str, Any] = {}
    owners: dict[Path, str] = {}
    for name, data in flavors:
        _merge(merged, {key: value for key, value in data.items() if key not in NOT_SHARED}, name, (), owners)
    return _overlaid(merged, spec)


def _merge(into: dict[str, Any], data: Spec, flavor: str, path: Path, owners: dict[Path, str]) -> None:
    for key, value in data.items():
        here, before = (*path, key), into.get(key)
        if value is None:
            continue
        if before is None:
            into[key] = copy.deepcopy(value)
            owners[here] = flavor
        elif isinstance(before, list) and isinstance(value, list):
            into[key] = [*before, *copy.deepcopy(value)]
        elif isinstance(before, dict) and isinstance(value, Mapping):
            _merge(before, value, flavor, here, owners)
        else:
            raise FlavorConflict(f"spec.flavors: {_owner(owners, here)} and {flavor} both set {'.'.join(here)}")


def _owner(owners: Mapping[Path, str], path: Path) -> str:
    """The flavor that set this field or an enclosing map."""
    return next(owners[path[:length]] for length in range(len(path), 0, -1) if path[:length] in owners)


def _overlaid(base: Spec, own: Spec) -> dict[str, Any]:
    result = dict(base)
    for key, value in own.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = _overlaid(before, value)
        elif isinstance(before, list) and isinstance(value, list):
            result[key] = [*before, *value]
        elif value is not None:
            result[key] = value
    return result

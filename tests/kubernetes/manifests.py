"""The manifests as objects, built by kubectl's own kustomize."""

import subprocess
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from servers.control_plane import assets

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
OVERLAYS = ("kind", "production", "gcp", "aws")
COMPONENTS = tuple(sorted(path.parent.name for path in (MANIFESTS / "components").glob("*/kustomization.yaml")))
Object = dict[str, Any]


def read_all(text: str) -> list[Object]:
    """The objects of a YAML text. libyaml reads the hundreds of them eight times as fast as PyYAML's own parser."""
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def write_all(objects: Iterable[Object]) -> str:
    """The YAML text of the objects, by libyaml."""
    return yaml.dump_all(objects, Dumper=yaml.CSafeDumper)


@lru_cache
def built(path: Path) -> tuple[Object, ...]:
    """Every object of a kustomization."""
    done = subprocess.run(
        [str(assets() / "kubectl"), "kustomize", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return tuple(read_all(done.stdout))


def overlay(name: str) -> tuple[Object, ...]:
    """Every object of an overlay."""
    return built(MANIFESTS / "overlays" / name)


def with_components(folder: Path, names: Sequence[str] = COMPONENTS) -> tuple[Object, ...]:
    """The base with components, by default every one that there is, built in this (empty) folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "namespace: asya"]
    base = _relative(folder, MANIFESTS / "base")
    lines += ["resources:", f"  - {base}", "components:"]
    lines += [f"  - {_relative(folder, MANIFESTS / 'components' / name)}" for name in names]
    (folder / "kustomization.yaml").write_text("\n".join(lines) + "\n")
    return built(folder)


def _relative(folder: Path, target: Path) -> str:
    import os

    return os.path.relpath(target, folder)


def of_kind(objects: tuple[Object, ...], *kinds: str) -> list[Object]:
    return [each for each in objects if each["kind"] in kinds]


def templates(objects: tuple[Object, ...]) -> list[tuple[str, Object]]:
    """Every pod template with the name of what it belongs to."""
    kinds = ("Deployment", "StatefulSet", "DaemonSet", "Job")
    return [
        (f"{each['kind']}/{each['metadata']['name']}", each["spec"]["template"]) for each in of_kind(objects, *kinds)
    ]

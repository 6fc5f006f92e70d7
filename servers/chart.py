"""The Helm chart as objects, rendered by a real helm, and its table of values.

The program is taken from ASYA_HELM (`scripts/helm` prints a path).
"""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from servers.processes import ServerUnavailable

CHART = Path(__file__).parents[1] / "manifests" / "chart"
README_HEAD = """# asya-gateway

Installs the gateway with Helm. [docs/operations.md](../../docs/operations.md#with-helm) has every step, with the
Secrets that must exist. To see what a release would create, without a cluster:

    helm template asya-gateway manifests/chart -n asya --set mode=api -f gateway-values.yaml

The table is made from `values.yaml` by `python -m servers.chart`.

| value | default | what it is |
|---|---|---|
"""


class HelmUnavailable(ServerUnavailable):
    """There is no helm. The text says what to set."""


def helm_program() -> str:
    """The path of helm. Raises HelmUnavailable."""
    program = os.environ.get("ASYA_HELM")
    if not program:
        raise HelmUnavailable("ASYA_HELM is not set: it names the program helm, version 4 (`scripts/helm` builds it)")
    return program


def helm(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run helm. Raises AssertionError if it fails and `check`."""
    done = subprocess.run([helm_program(), *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert not check or done.returncode == 0, f"helm {' '.join(arguments)}:\n{done.stderr}"
    return done


def rendered(values: Mapping[str, Any], folder: Path, *, release: str = "asya-gateway") -> tuple[dict[str, Any], ...]:
    """Every object of a release with these values, which are written into the folder."""
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(dict(values)))
    text = helm("template", release, str(CHART), "--namespace", "asya", "--values", str(path)).stdout
    return tuple(document for document in yaml.safe_load_all(text) if document)


def readme() -> str:
    """The chart's README: a table of the values, with the comments above them."""
    rows: list[str] = []
    path: list[str] = []
    comment = ""
    lines = (CHART / "values.yaml").read_text().splitlines()
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment = stripped[5:]
        elif stripped.startswith("# "):
            comment += " " + stripped[2:]
        elif found := re.match(r"( *)(\w+):(.*)$", line):
            depth = len(found[1]) // 2
            path = [*path[:depth], found[2]]
            if comment:
                rows.append(f"| `{'.'.join(path)}` | {_default(path)} | {comment} |")
            comment = ""
    return README_HEAD + "\n".join(rows) + "\n"


def _default(path: list[str]) -> str:
    value: Any = yaml.safe_load((CHART / "values.yaml").read_text())
    for name in path:
        value = value[name]
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000).strip().removesuffix("...").strip()
    return "" if value in ("", None) else f"`{text}`"


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme())

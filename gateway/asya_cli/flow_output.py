"""The output of `asya flow`: changes, the URLs of a flow, and the list of flows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from asya_cli.flows_cluster import ExposedFlow


def print_table(standings: "list[ExposedFlow]") -> None:
    from rich.table import Table

    from asya_cli.rendering import err, out

    if not standings:
        err.print("no flow is exposed; expose one with `asya flow expose NAME -d TEXT`")
        return
    table = Table("Name", "Route", "Source", "State", box=None, pad_edge=False)
    for each in standings:
        names = [each.flow.get("entrypoint", ""), *(each.flow.get("routeNext") or each.flow.get("route_next") or [])]
        table.add_row(each.name, " → ".join(filter(None, names)), each.source, _state(each))
    out.print(table)


def _state(each: "ExposedFlow") -> str:
    if each.rejected:
        return f"not served: {each.rejected}"
    return {True: "served", False: each.message or "not served yet", None: "no operator status"}[each.programmed]


def show_text_diff(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    import difflib

    from asya_cli.rendering import print_line

    for key in sorted(before.keys() | after.keys()):
        lines = difflib.unified_diff(
            before.get(key, "").splitlines(keepends=True),
            after.get(key, "").splitlines(keepends=True),
            f"gateway-flows/{key}",
            f"gateway-flows/{key}",
        )
        for line in lines:
            print_line(line.rstrip("\n"))


def show_diff(before: Mapping[str, Any], after: Mapping[str, Any], title: str) -> None:
    import difflib

    import yaml

    from asya_cli.rendering import print_line

    old, new = (yaml.safe_dump(dict(each), sort_keys=True).splitlines() if each else [] for each in (before, after))
    for line in difflib.unified_diff(old, new, title, title, lineterm=""):
        print_line(line)


def show_urls(name: str, standing: "ExposedFlow | None", base: str) -> None:
    base = base.rstrip("/")
    flow = standing.flow if standing else {}
    typer.echo(f"{name}:", err=True)
    if "mcp" in flow:
        typer.echo(f"  MCP   {base}/mcp")
        typer.echo(f"  REST  {base}/tools/call")
    if "a2a" in flow:
        typer.echo(f"  A2A   {base}/a2a/{name}")

"""`asya flow expose | hide | list | diff`: what is exposed, in the ConfigMap gateway-flows or as Flow resources."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from asya_cli.options import AsJson

if TYPE_CHECKING:
    from asya_cli.flows_cluster import ExposedFlow, FlowsCluster
    from asya_crds.flow import Flow

app = typer.Typer(help="Expose flows and hide them again.", no_args_is_help=True)
Result = TypeVar("Result")


class Where(StrEnum):
    """Where a flow is written."""

    CONFIGMAP = "configmap"
    RESOURCE = "resource"


Target = Annotated[str, typer.Argument(metavar="TARGET", help="The flow's name, which callers see.")]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", envvar="ASYA_NAMESPACE", help="Namespace; the context's by default.")
]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the change without making it.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return once it is stored, before it is served.")]
WaitTimeout = Annotated[float, typer.Option("--wait-timeout", min=0, help="Seconds to wait until it is served.")]
In = Annotated[Where, typer.Option("--in", help="Where it is stored.")]
PublicUrl = Annotated[
    str | None,
    typer.Option("--url", envvar="ASYA_PUBLIC_URL", help="URL at which callers reach the gateway, for links."),
]


UNCHECKED = (
    "note: patterns and references of the schemas are checked by the operator"
    " (here, too, where asya[gateway] or asya[operator] is installed)"
)


@app.command("expose")
def expose(
    target: Target,
    description: Annotated[str | None, typer.Option("--description", "-d", help="What it does; required once.")] = None,
    entrypoint: Annotated[str | None, typer.Option("--entrypoint", help="First actor; TARGET by default.")] = None,
    route: Annotated[str | None, typer.Option("--route", metavar="A,B", help="Actors after the first one.")] = None,
    timeout: Annotated[str | None, typer.Option("--timeout", "-t", help="Such as 10s, 5m, or seconds.")] = None,
    mcp: Annotated[bool, typer.Option("--mcp", help="As MCP tool (the default without --a2a).")] = False,
    input_schema: Annotated[
        str | None, typer.Option("--input-schema", metavar="JSON", help="Of the arguments.")
    ] = None,
    input_schema_file: Annotated[
        Path | None, typer.Option("--input-schema-file", metavar="FILE", help="The same from a file, JSON or YAML.")
    ] = None,
    a2a: Annotated[bool, typer.Option("--a2a", help="As A2A skill (stored; not served by this version).")] = False,
    tags: Annotated[str | None, typer.Option("--tags", metavar="A,B", help="Tags of the skill.")] = None,
    examples: Annotated[list[str] | None, typer.Option("--examples", help="Example of the skill; repeat it.")] = None,
    input_modes: Annotated[str | None, typer.Option("--input-modes", metavar="A,B", help="Media types.")] = None,
    output_modes: Annotated[str | None, typer.Option("--output-modes", metavar="A,B", help="Media types.")] = None,
    where: In = Where.CONFIGMAP,
    namespace: Namespace = None,
    context: Context = None,
    dry_run: DryRun = False,
    no_wait: NoWait = False,
    wait_timeout: WaitTimeout = 60.0,
    url: PublicUrl = None,
) -> None:
    """Expose a flow, or change what is exposed; what is not named stays as it is.

    Exit codes: 0 it is served (or written, with --no-wait), 1 refused or not served in time, 2 wrong command line,
    3 no cluster.
    """
    if url:
        from asya_crds.setting_types import check_web_url

        _check_option("--url or ASYA_PUBLIC_URL", check_web_url, url)
    schema = _schema(input_schema, input_schema_file)
    skill = {
        "tags": _words(tags),
        "examples": examples or None,
        "inputModes": _words(input_modes),
        "outputModes": _words(output_modes),
    }
    skill = {key: value for key, value in skill.items() if value is not None}
    wanted: dict[str, Any] = {
        "entrypoint": entrypoint,
        "routeNext": _words(route),
        "description": description,
        "timeout": int(timeout) if timeout is not None and timeout.isdecimal() else timeout,
        "mcp": {} if schema is None else {"inputSchema": schema},
        "a2a": skill,
    }
    if not (mcp or schema is not None):
        del wanted["mcp"]
    if not (a2a or skill):
        del wanted["a2a"]
    flow = {key: value for key, value in wanted.items() if value is not None}

    async def work(cluster: "FlowsCluster") -> None:
        written = await _write(cluster, target, flow, where, dry_run=dry_run)
        if dry_run or not written:
            return
        if not no_wait:
            typer.echo(
                f"stored in namespace {cluster.namespace}; waiting up to {wait_timeout:g} s"
                " until every gateway serves it",
                err=True,
            )
            await cluster.wait_programmed(target, wait_timeout)
        _show_urls(target, await cluster.standing(target), url or f"http://asya-gateway-api.{cluster.namespace}:8080")

    _run(namespace, context, work)


async def _write(cluster: "FlowsCluster", name: str, flow: dict[str, Any], where: Where, *, dry_run: bool) -> bool:
    """Whether there is anything to wait for."""
    from asya_cli.flows_editing import expose as expose_in
    from asya_cli.flows_editing import find

    if where is Where.RESOURCE:
        existing = next((body for body in await cluster.resources() if body["metadata"]["name"] == name), None)
        standing = (existing or {}).get("spec")
        # Applied as a whole: what an apply leaves out, its field manager gives up.
        spec = {**(standing or {}), **_complete(name, flow, standing)}
        _check({**spec, "name": name})
        applied = await cluster.apply(name, spec, dry_run=dry_run)
        _show_diff((existing or {}).get("spec") or {}, applied["spec"], f"Flow {name}")
        return True

    def change(data: dict[str, str]) -> dict[str, str]:
        place = find(data, name)
        complete = {"name": name, **_complete(name, flow, place.value if place else None)}
        _check({**(place.value if place else {}), **complete})
        return expose_in(data, complete)

    before, after = await cluster.edit(change, dry_run=dry_run)
    _show_text_diff(before, after)
    if before == after:
        typer.echo(f"{name} is already exposed like this", err=True)
    return True


def _complete(name: str, flow: dict[str, Any], existing: Mapping[str, Any] | None) -> dict[str, Any]:
    """A new flow gets its defaults; of one that exists only what was named changes."""
    from asya_cli.errors import UsageProblem
    from asya_cli.flows_editing import same

    if existing is not None:
        merged = {key: _merged(existing.get(key), value) for key, value in flow.items()}
        return {key: value for key, value in merged.items() if not same(value, existing.get(key, ...))}
    if not flow.get("description"):
        raise UsageProblem("--description: required for a new flow, since callers choose by it")
    complete = {"entrypoint": name, **flow}
    if "mcp" not in complete and "a2a" not in complete:
        complete["mcp"] = {}
    return complete


def _merged(existing: Any, named: Any) -> Any:
    """Of `mcp` and `a2a`, too, only what was named changes."""
    from pydantic.alias_generators import to_camel

    if not (isinstance(existing, Mapping) and isinstance(named, Mapping)):
        return named
    return {key: value for key, value in existing.items() if to_camel(key) not in named} | dict(named)


def _check(flow: Mapping[str, Any]) -> None:
    """Refuse here what the operator would refuse."""
    from asya_cli.errors import UsageProblem
    from asya_crds.flows_file import InvalidFlow, flow_of

    plain = {key: value for key, value in flow.items() if not (key == "routeNext" and "route_next" in flow)}
    try:
        check = _schema_checker()
        read = flow_of(plain)
        if check is not None:
            check(read)
    except InvalidFlow as error:
        raise UsageProblem(str(error)) from None
    if check is None and read.mcp is not None and read.mcp.model_fields_set & {"input_schema", "output_schema"}:
        typer.echo(UNCHECKED, err=True)


def _schema_checker() -> "Callable[[Flow], None] | None":
    """The operator's check of schemas; None where the schema engine is not installed, as in the base install."""
    try:
        from asya_schemas.flows import check_flow
    except ModuleNotFoundError as error:
        if error.name != "jsonschema_rs":
            raise
        return None
    return check_flow


@app.command("hide")
def hide(
    target: Target,
    namespace: Namespace = None,
    context: Context = None,
    dry_run: DryRun = False,
) -> None:
    """Stop exposing a flow; calls that were accepted go on."""

    async def work(cluster: "FlowsCluster") -> None:
        from asya_cli.errors import CliError
        from asya_cli.flows_editing import find
        from asya_cli.flows_editing import hide as hide_in

        found = await cluster.configmap()
        if found is not None and find(found.get("data") or {}, target) is not None:
            before, after = await cluster.edit(
                lambda data: hide_in(data, target) if find(data, target) else data, dry_run=dry_run
            )
            _show_text_diff(before, after)
            return
        names = [
            body["metadata"]["name"]
            for body in await cluster.resources()
            if target in (body["metadata"]["name"], (body.get("spec") or {}).get("name"))
        ]
        if not names:
            raise CliError(f"{target} is not exposed in the namespace {cluster.namespace}")
        for name in names:
            await cluster.delete(name, dry_run=dry_run)
            typer.echo(f"Flow {name} {'would be ' if dry_run else ''}deleted", err=True)

    _run(namespace, context, work)


@app.command("list")
def list_flows(namespace: Namespace = None, context: Context = None, as_json: AsJson = False) -> None:
    """List every exposed flow, where it stands, and whether it is served."""

    async def work(cluster: "FlowsCluster") -> "list[ExposedFlow]":
        from asya_cli.flows_cluster import in_configmap, in_resource

        found = await cluster.configmap()
        return [*in_configmap(found), *(in_resource(body) for body in await cluster.resources())]

    from asya_cli.rendering import print_json

    standings = sorted(_run(namespace, context, work), key=lambda each: each.name)
    if as_json:
        print_json(
            [
                {"name": each.name, "source": each.source, "programmed": each.programmed, "problem": each.rejected}
                for each in standings
            ]
        )
        return
    _print_table(standings)


def _print_table(standings: "list[ExposedFlow]") -> None:
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


@app.command("diff")
def diff(
    file: Annotated[Path, typer.Argument(exists=True, help="A flows.yaml.", metavar="FILE")],
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Show what a file would change in the ConfigMap. Exit code 1 where there is a difference, like diff."""

    async def work(cluster: "FlowsCluster") -> dict[str, str]:
        return dict(((await cluster.configmap()) or {}).get("data") or {})

    before = _run(namespace, context, work)
    text = _text_of(file)
    after = {**before, file.name if file.name in before else "flows.yaml": text}
    _show_text_diff(before, after)
    if before != after:
        raise typer.Exit(1)


def _run(namespace: str | None, context: str | None, work: "Callable[[FlowsCluster], Awaitable[Result]]") -> Result:
    from asya_cli.errors import CliError
    from asya_cli.flows_cluster import FlowsCluster
    from asya_cli.flows_editing import EditRefused

    if namespace is not None:
        from asya_crds.setting_types import check_namespace

        _check_option("--namespace or ASYA_NAMESPACE", check_namespace, namespace)

    async def main() -> Result:
        cluster = await FlowsCluster.open(namespace, context)
        try:
            return await work(cluster)
        except EditRefused as error:
            raise CliError(str(error)) from None
        finally:
            await cluster.close()

    return asyncio.run(main())


def _check_option(option: str, check: Callable[[str], str], value: str) -> None:
    from asya_cli.errors import UsageProblem

    try:
        check(value)
    except ValueError as error:
        raise UsageProblem(f"{option}: {error}, not {value!r}") from None


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _text_of(file: Path) -> str:
    """The text of a file with its own line ends. Raises UsageProblem."""
    from asya_cli.errors import UsageProblem

    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise UsageProblem(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{file}: not UTF-8 at byte {error.start}") from None


def _schema(text: str | None, file: Path | None) -> dict[str, Any] | None:
    import yaml

    from asya_cli.errors import UsageProblem
    from asya_crds import jsontext
    from asya_crds.yaml_text import Unreadable, Yaml, parse

    if text is not None and file is not None:
        raise UsageProblem("--input-schema and --input-schema-file exclude each other")
    if file is not None:
        if not file.exists():
            raise UsageProblem(f"--input-schema-file: {file} does not exist")
        text = _text_of(file)
    if text is None:
        return None
    text = text.removeprefix("\ufeff")
    try:
        schema = jsontext.loads(text)
    except jsontext.InvalidJSON:
        # YAML is read as flows.yaml is: dates stay text, and what JSON cannot say is a mistake.
        try:
            document = parse(text, Yaml(getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.YAMLError))
        except Unreadable as error:
            raise UsageProblem(f"--input-schema: neither JSON nor YAML: {error.reason}") from None
        if document.mistakes:
            first = document.mistakes[0]
            raise UsageProblem(f"--input-schema: line {first.line}: {first.reason}") from None
        schema = document.value
    if not isinstance(schema, dict):
        raise UsageProblem("--input-schema: expected an object")
    return schema


def _show_text_diff(before: Mapping[str, str], after: Mapping[str, str]) -> None:
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


def _show_diff(before: Mapping[str, Any], after: Mapping[str, Any], title: str) -> None:
    import difflib

    import yaml

    from asya_cli.rendering import print_line

    old, new = (yaml.safe_dump(dict(each), sort_keys=True).splitlines() if each else [] for each in (before, after))
    for line in difflib.unified_diff(old, new, title, title, lineterm=""):
        print_line(line)


def _show_urls(name: str, standing: "ExposedFlow | None", base: str) -> None:
    base = base.rstrip("/")
    flow = standing.flow if standing else {}
    typer.echo(f"{name}:", err=True)
    if "mcp" in flow:
        typer.echo(f"  MCP   {base}/mcp")
        typer.echo(f"  REST  {base}/tools/call")
    if "a2a" in flow:
        typer.echo("  A2A   stored; this version does not serve it yet")

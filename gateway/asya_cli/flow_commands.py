"""`asya flow expose | hide | list | diff`: exposed flows in the ConfigMap gateway-flows or as Flow resources."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from asya_cli.flow_options import (
    check_option,
    merged_fields,
    read_schema,
    set_fields,
    text_of,
    timeout_of,
    wanted_flow,
    words,
)
from asya_cli.flow_output import print_table, show_text_diff, show_urls
from asya_cli.flow_writing import Where, write
from asya_cli.options import AsJson

if TYPE_CHECKING:
    from asya_cli.flows_cluster import ExposedFlow, FlowsCluster

app = typer.Typer(help="Expose flows and hide them again.", no_args_is_help=True)
Result = TypeVar("Result")


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
    a2a: Annotated[bool, typer.Option("--a2a", help="As A2A skill.")] = False,
    tags: Annotated[str | None, typer.Option("--tags", metavar="A,B", help="Tags of the skill.")] = None,
    examples: Annotated[list[str] | None, typer.Option("--examples", help="Example of the skill; repeat it.")] = None,
    input_modes: Annotated[str | None, typer.Option("--input-modes", metavar="A,B", help="Media types.")] = None,
    output_modes: Annotated[str | None, typer.Option("--output-modes", metavar="A,B", help="Media types.")] = None,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Any other field, as in flows.yaml: scopes=[finance], a2a.reply=message, mcp.outputSchema=@FILE. "
            "JSON or YAML; repeat it.",
        ),
    ] = None,
    where: In = Where.CONFIGMAP,
    namespace: Namespace = None,
    context: Context = None,
    dry_run: DryRun = False,
    no_wait: NoWait = False,
    wait_timeout: WaitTimeout = 60.0,
    url: PublicUrl = None,
) -> None:
    """Expose a flow, or change an exposed one. Fields without an option stay unchanged.

    Exit codes: 0 it is served (or written, with --no-wait), 1 refused or not served in time, 2 wrong command line,
    3 no cluster.
    """
    if url:
        from asya_crds.setting_types import check_web_url

        check_option("--url or ASYA_PUBLIC_URL", check_web_url, url)
    plain = {
        "entrypoint": entrypoint,
        "routeNext": words(route),
        "description": description,
        "timeout": timeout_of(timeout),
    }
    skill = {
        "tags": words(tags),
        "examples": examples or None,
        "inputModes": words(input_modes),
        "outputModes": words(output_modes),
    }
    flow = wanted_flow(plain, read_schema(input_schema, input_schema_file), skill, mcp=mcp, a2a=a2a)
    flow = merged_fields(flow, set_fields(more or ()))

    async def work(cluster: "FlowsCluster") -> None:
        written = await write(cluster, target, flow, where, dry_run=dry_run)
        if written and not dry_run:
            await _await_served(cluster, target, None if no_wait else wait_timeout, url)

    _run(namespace, context, work)


async def _await_served(cluster: "FlowsCluster", target: str, timeout: float | None, url: str | None) -> None:
    """Wait until every gateway serves the flow (not at all if `timeout` is None), then print its URLs."""
    if timeout is not None:
        typer.echo(
            f"stored in namespace {cluster.namespace}; waiting up to {timeout:g} s until every gateway serves it",
            err=True,
        )
        await cluster.wait_programmed(target, timeout)
    show_urls(target, await cluster.standing(target), url or f"http://asya-gateway-api.{cluster.namespace}:8080")


@app.command("hide")
def hide(
    target: Target,
    namespace: Namespace = None,
    context: Context = None,
    dry_run: DryRun = False,
) -> None:
    """Stop exposing a flow; accepted calls continue."""

    async def work(cluster: "FlowsCluster") -> None:
        from asya_cli.errors import CliError
        from asya_cli.flows_editing import find
        from asya_cli.flows_editing import hide as hide_in

        found = await cluster.configmap()
        if found is not None and find(found.get("data") or {}, target) is not None:
            before, after = await cluster.edit(
                lambda data: hide_in(data, target) if find(data, target) else data, dry_run=dry_run
            )
            show_text_diff(before, after)
            return
        names = [
            body["metadata"]["name"]
            for body in await cluster.resources()
            if target == ((body.get("spec") or {}).get("name") or body["metadata"]["name"])
        ]
        if not names:
            raise CliError(f"{target} is not exposed in the namespace {cluster.namespace}")
        for name in names:
            await cluster.delete(name, dry_run=dry_run)
            typer.echo(f"Flow {name} {'would be ' if dry_run else ''}deleted", err=True)

    _run(namespace, context, work)


@app.command("list")
def list_flows(namespace: Namespace = None, context: Context = None, as_json: AsJson = False) -> None:
    """List the exposed flows. Shows where each is stored, and whether it is served."""

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
    print_table(standings)


@app.command("diff")
def diff(
    file: Annotated[Path, typer.Argument(exists=True, help="A flows.yaml.", metavar="FILE")],
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Show what a file would change in the ConfigMap. Exit code 1 if there is a difference, like diff."""

    async def work(cluster: "FlowsCluster") -> dict[str, str]:
        return dict(((await cluster.configmap()) or {}).get("data") or {})

    before = _run(namespace, context, work)
    text = text_of(file)
    after = {**before, file.name if file.name in before else "flows.yaml": text}
    show_text_diff(before, after)
    if before != after:
        raise typer.Exit(1)


def _run(namespace: str | None, context: str | None, work: "Callable[[FlowsCluster], Awaitable[Result]]") -> Result:
    from asya_cli.errors import CliError
    from asya_cli.flows_cluster import FlowsCluster
    from asya_cli.flows_editing import EditRefused

    if namespace is not None:
        from asya_crds.setting_types import check_namespace

        check_option("--namespace or ASYA_NAMESPACE", check_namespace, namespace)

    async def main() -> Result:
        cluster = await FlowsCluster.open(namespace, context)
        try:
            return await work(cluster)
        except EditRefused as error:
            raise CliError(str(error)) from None
        finally:
            await cluster.close()

    return asyncio.run(main())

"""`asya actor`: one worker, or the crew."""

from typing import Annotated, Any

import typer


def actor(
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The actor, which names its queue (ASYA_ACTOR_NAME).")
    ] = None,
    handler: Annotated[
        str | None,
        typer.Option("--handler", metavar="PATH", help="module.function or module.Class.method (ASYA_HANDLER)."),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", min=1, help="Messages at the same time (ASYA_ACTOR_CONCURRENCY).")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, help="Processes, for handlers that compute (ASYA_ACTOR_PROCESSES)."),
    ] = None,
    crew: Annotated[
        bool, typer.Option("--crew", help="Run x-sink, x-sump, x-pause, x-resume and the dead letters instead.")
    ] = False,
) -> None:
    """Run one actor behind its queue, or the crew, until SIGTERM. Settings come from ASYA_* variables
    (docs/settings.md); options override them.
    """
    from asya_actor.app import main
    from asya_actor.settings import crew_settings
    from asya_cli.errors import UsageProblem
    from asya_crds.setting_types import SettingsError

    given = {"actor_name": name, "handler": handler, "actor_concurrency": concurrency, "actor_processes": processes}
    values = {key: value for key, value in given.items() if value is not None}
    if crew and values:
        raise UsageProblem("--crew: runs without --name, --handler, --concurrency and --processes")
    try:
        code = main(crew=crew_settings()) if crew else _worker(values)
    except SettingsError as error:
        raise UsageProblem(str(error)) from None
    raise typer.Exit(code)


def _worker(values: dict[str, Any]) -> int:
    from asya_actor.app import main
    from asya_actor.settings import worker_settings

    settings = worker_settings(values)
    if settings.actor_processes == 1:
        return main([settings])

    from asya_cli.actor_processes import run_processes
    from asya_cli.errors import cannot_listen
    from asya_crds.listening import CannotListen

    try:
        return run_processes(settings, {f"ASYA_{name.upper()}": str(value) for name, value in values.items()})
    except CannotListen as problem:
        raise cannot_listen(problem) from problem

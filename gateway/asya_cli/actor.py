"""`asya actor`: one worker, or the crew."""

from typing import Annotated

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
    crew: Annotated[
        bool, typer.Option("--crew", help="Run x-sink, x-sump, x-pause, x-resume and the dead letters instead.")
    ] = False,
) -> None:
    """Run one actor behind its queue, or the crew, until SIGTERM. Settings come from ASYA_* variables
    (docs/settings.md); options override them.
    """
    from asya_actor.app import main
    from asya_actor.settings import SettingsError, crew_settings, worker_settings
    from asya_cli.errors import UsageProblem

    given = {"actor_name": name, "handler": handler, "actor_concurrency": concurrency}
    values = {key: value for key, value in given.items() if value is not None}
    if crew and values:
        raise UsageProblem("--crew: runs without --name, --handler and --concurrency")
    try:
        code = main(crew=crew_settings()) if crew else main([worker_settings(values)])
    except SettingsError as error:
        raise UsageProblem(str(error)) from None
    raise typer.Exit(code)

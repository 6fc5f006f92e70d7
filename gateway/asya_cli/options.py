"""Options that several commands share, and the bridge from a command to the coroutine that does its work."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from asya_cli.errors import CliError

DEFAULT_URL = "http://127.0.0.1:8080"

_given_url = ContextVar("given_url", default=DEFAULT_URL)
"""The `--url` of the command line. ASYA_URL is not kept here, because it applies to the next command as well."""


def _keep_given(context: typer.Context, value: str) -> str:
    source = context.get_parameter_source("url")
    if source is not None and source.name == "COMMANDLINE":
        _given_url.set(value)
    return value


Url = Annotated[
    str,
    typer.Option("--url", envvar="ASYA_URL", metavar="URL", help="URL of the gateway.", callback=_keep_given),
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="ASYA_TOKEN",
        metavar="TOKEN",
        show_default=False,
        help="Key or token of the caller; by default that of `asya login`.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task's id.")]

PRINTED_ROUTES = (
    *("/mcp", "/tools/call", "/openapi.json", "/health", "/health/ready", "/health/flows"),
    "/.well-known/agent-card.json",
)
"""Routes whose URLs users copy from `asya dev` and the docs. Such a URL is accepted as the gateway's."""


def follow_up(*words: str) -> str:
    """A command to paste that continues this one at the same gateway."""
    return command_at(_given_url.get(), *words)


def command_at(url: str, *words: str) -> str:
    """A command to paste, `asya …`, with `--url` if the gateway is not the default one."""
    import shlex

    return " ".join(["asya", *words, *([] if url == DEFAULT_URL else ["--url", shlex.quote(url)])])


def base_of(url: str) -> str:
    """The gateway's URL, from the URL of one of its routes."""
    url = url.rstrip("/")
    for route in sorted(PRINTED_ROUTES, key=len, reverse=True):
        if url.endswith(route):
            return url.removesuffix(route)
    return url


def unreachable(url: str) -> "CliError":
    """The error for a gateway that does not answer."""
    from asya_cli.errors import CliError, ExitCode

    return CliError(
        f"no gateway responds at {url.rstrip('/')}; start one with `asya dev`, or set ASYA_URL", ExitCode.UNREACHABLE
    )


def gateway_of(url: str) -> str:
    """The gateway's URL from `--url`. Raises UsageProblem if that is not a URL."""
    from asya_cli.errors import UsageProblem
    from asya_crds.setting_types import check_web_url

    try:
        check_web_url(url or "?")
    except ValueError:
        raise UsageProblem(f"--url or ASYA_URL: expected http://host:port or https://host, not {url!r}") from None
    return base_of(url)

"""`asya login` and `asya logout`."""

import asyncio
import os
from typing import Annotated

import typer

from asya_cli.options import DEFAULT_URL, Url, gateway_of


def login(
    url: Url = DEFAULT_URL,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="What to ask for; repeat it. Default: what the gateway names."),
    ] = None,
    registration_token: Annotated[
        str,
        typer.Option(
            "--registration-token",
            envvar="ASYA_REGISTRATION_TOKEN",
            metavar="TOKEN",
            show_default=False,
            help="Token with which the gateway lets this command register itself, if it asks for one.",
        ),
    ] = "",
    client_id: Annotated[
        str,
        typer.Option("--client-id", metavar="ID", help="A client that somebody made, instead of a registration."),
    ] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the URL only; open no browser.")] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1 for the browser's redirect; 0 takes a free one.")
    ] = 0,
) -> None:
    """Log in at a gateway with the browser. Later commands use the login, and renew its tokens."""
    from asya_cli.login.browser import Wishes, log_in
    from asya_cli.login.opening import shown
    from asya_cli.login.store import user_store
    from asya_cli.rendering import err

    gateway = gateway_of(url)
    wishes = Wishes(tuple(scope or ()), client_id, registration_token.strip(), port)
    made = asyncio.run(log_in(gateway, user_store(), wishes, shown(browser=not no_browser)))
    if made is None:
        err.print(f"{gateway} asks nobody who calls; there is nothing to log in to", soft_wrap=True)
        return
    lasting = "; it is renewed by itself" if made.refresh_token else ""
    err.print(f"logged in at {gateway}: {made.scope or 'no scopes'}{lasting}", soft_wrap=True)
    if missing := sorted(set(wishes.scopes) - set(made.scope.split())):
        err.print(
            f"not granted: {' '.join(missing)}; you do not hold them, or this client may not have them. Operators give "
            "them by a role or a key",
            style="yellow",
            soft_wrap=True,
        )
    if os.environ.get("ASYA_TOKEN", "").strip():
        err.print("ASYA_TOKEN is set, and is sent instead of the login; unset it", style="yellow", soft_wrap=True)


def logout(url: Url = DEFAULT_URL) -> None:
    """Revoke the login at a gateway, and forget it."""
    from asya_cli.login.ending import log_out
    from asya_cli.login.store import user_store
    from asya_cli.rendering import err

    gateway = gateway_of(url)
    ended = asyncio.run(log_out(gateway, user_store()))
    err.print(f"logged out of {gateway}" if ended else f"there is no login at {gateway}", soft_wrap=True)

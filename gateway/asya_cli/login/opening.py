"""Brings a person to the page where they log in."""

import threading
import webbrowser

from asya_cli.login.browser import Show
from asya_cli.rendering import err


def shown(*, browser: bool) -> Show:
    """Prints the URL, since the person may be at another machine than the browser, and opens it if `browser` says
    so."""

    async def show(url: str) -> None:
        err.print("Log in with a browser on this machine:")
        # Not by rich, which would break it.
        err.file.write(f"\n    {url}\n\n")
        err.file.flush()
        if browser:
            # It may wait for the browser's end, which this command does not.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    return show

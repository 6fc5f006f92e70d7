"""The pages for persons: what went wrong, and whether a client may act for them. No script, nothing from elsewhere."""

from collections.abc import Sequence
from html import escape
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from asya_gateway.domain.oauth.redirects import WEB

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem;color:#1c1c1c}"
    "h1{font-size:1.4rem}code{overflow-wrap:anywhere}.warn{border-left:4px solid #b45309;padding-left:.8rem}"
    "button{font:inherit;padding:.5rem 1.2rem;margin:1rem 1rem 0 0}"
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""
_ALLOWED = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action {form}"


def page(title: str, body: str, status: int = HTTPStatus.OK, form: str = "'none'") -> web.Response:
    """An HTML page that no other page may show in a frame (clickjacking). `body` is HTML."""
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _ALLOWED.format(form=form),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        # Not `no-referrer`, with which browsers send `Origin: null` with the form.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    text = _PAGE.format(title=escape(title), style=_STYLE, body=body)
    return web.Response(body=text.encode(), status=status, headers=headers)


def refusal_page(code: str, description: str, status: int, back: tuple[str, str] | None = None) -> web.Response:
    """Why an authorization cannot go on. `back` is the host of an application that nobody has checked, and the URI that
    tells it."""
    body = f"<p>{escape(description)}.</p><p><code>{escape(code)}</code></p>"
    if back is not None:
        host, uri = back
        body += f"""<p class="warn">The application that sent you here is at <strong>{escape(host)}</strong>. Nobody has
checked it. <a rel="noreferrer" href="{escape(uri)}">Go back to {escape(host)}</a> only if you know it.</p>"""
    return page("This authorization cannot go on", body, status)


def form_targets(redirect_uri: str) -> str:
    """Where the form of the page may lead: to us, and from there to the client. Browsers apply `form-action` to the
    redirect as well."""
    parts = urlsplit(redirect_uri)
    return f"'self' {parts.scheme}://{parts.netloc}" if parts.scheme in WEB else f"'self' {parts.scheme}:"


def consent_page(
    *,
    action: str,
    client: str,
    host: str,
    person: str,
    scopes: Sequence[str],
    hidden: Sequence[tuple[str, str]],
    warning: str,
    targets: str,
) -> web.Response:
    """Asks whether the client may act for the person."""
    fields = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in hidden)
    listed = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in scopes)
    body = f"""<p><strong>{escape(client)}</strong> wants to use this gateway in the name of
<code>{escape(person)}</code>. The answer is sent to <strong>{escape(host)}</strong>.</p>
{f'<p class="warn">{escape(warning)}</p>' if warning else ""}
<p>It asks for</p><ul>{listed}</ul>
<form method="post" action="{escape(action)}">{fields}
<button name="answer" value="allow">Allow</button><button name="answer" value="deny">Deny</button></form>"""
    return page("Allow this application?", body, form=targets)

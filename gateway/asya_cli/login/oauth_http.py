"""Requests to an authorization server: documents, forms, and its refusals. Redirects are not followed, because tokens
and codes are sent."""

import contextlib
import ipaddress
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from asya_cli.errors import CliError, ExitCode
from asya_crds import jsontext
from asya_crds.readable import readable

LARGEST_DOCUMENT = 1024 * 1024
TIMEOUT = 30.0


class OAuthRefused(CliError):
    """The server refused, with a code of OAuth (RFC 6749, section 5.2; RFC 7591, section 3.2.2)."""

    def __init__(self, url: str, code: str, description: str) -> None:
        self.oauth_code = code
        told = f"{code}: {description}" if description else code
        super().__init__(f"{url} refuses: {readable(told)}")


@contextlib.asynccontextmanager
async def oauth_session() -> AsyncGenerator[aiohttp.ClientSession]:
    """A session for these requests. It keeps no cookies."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT, sock_connect=10)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


def check_protected(url: str, what: str) -> str:
    """The URL, if what is sent there cannot be read on the way: by https, or on this machine. Raises CliError, also for
    characters that no URL has, since it is printed for the person who logs in."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise CliError(f"{what}: expected a URL, not {readable(url[:200])}")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise CliError(f"{what}: expected a URL") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise CliError(f"{what}: expected https, not {readable(url[:200])}; http is permitted on this machine only")
    return url


async def get_document(session: aiohttp.ClientSession, url: str) -> dict[str, Any] | None:
    """A document of metadata; None if there is none at this URL. Raises CliError."""
    async with _request(session, "GET", url, headers={"Accept": "application/json"}) as response:
        return await _object(response) if response.status == HTTPStatus.OK else None


async def post_form(session: aiohttp.ClientSession, url: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The answer to a form, {} if it is empty. Raises OAuthRefused, CliError."""
    async with _request(session, "POST", url, data=form, headers={"Accept": "application/json"}) as response:
        return await _answer(response, url)


async def post_json(
    session: aiohttp.ClientSession, url: str, document: Mapping[str, Any], token: str = ""
) -> dict[str, Any]:
    """The answer to a document, sent with a bearer token if there is one. Raises OAuthRefused, CliError."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    async with _request(session, "POST", url, json=document, headers=headers) as response:
        return await _answer(response, url)


@contextlib.asynccontextmanager
async def _request(
    session: aiohttp.ClientSession, method: str, url: str, **options: Any
) -> AsyncGenerator[aiohttp.ClientResponse]:
    try:
        async with session.request(method, url, allow_redirects=False, **options) as response:
            yield response
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CliError(f"{url} does not answer: {str(error) or type(error).__name__}", ExitCode.UNREACHABLE) from error


async def _answer(response: aiohttp.ClientResponse, url: str) -> dict[str, Any]:
    found = await _object(response)
    if response.ok:
        return found or {}
    if found is not None and isinstance(found.get("error"), str):
        raise OAuthRefused(url, found["error"], str(found.get("error_description") or ""))
    code = ExitCode.UNREACHABLE if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ExitCode.FAILED
    raise CliError(f"{url} answers {response.status} {response.reason}", code)


async def _object(response: aiohttp.ClientResponse) -> dict[str, Any] | None:
    """The JSON object in a body of at most LARGEST_DOCUMENT bytes; None for any other body."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST_DOCUMENT:
            return None
    try:
        found = jsontext.loads(bytes(body))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

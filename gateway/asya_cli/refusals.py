"""What a user reads if the gateway refuses a request."""

import re
import shlex
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import aiohttp

from asya_cli.bearers import TokenSource
from asya_cli.errors import CliError, ExitCode
from asya_cli.options import follow_up
from asya_crds import jsontext

OWN_FIELDS = ("invalid_arguments", "task_not_found")
"""Codes whose messages already name their field."""
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


async def refusal(response: aiohttp.ClientResponse, gateway: str, held: TokenSource) -> CliError:
    """The error for a response of status 400 or more. `held` is how the request's token was given."""
    return refused(await response.text(errors="replace"), response, gateway, held)


def refused(text: str, response: aiohttp.ClientResponse, gateway: str, held: TokenSource) -> CliError:
    """The same for a response whose body was read."""
    error = _error_of(text, response)
    message = _message(error)
    match response.status:
        case HTTPStatus.UNAUTHORIZED:
            message = _unknown_caller(message, gateway.rstrip("/"), held, challenge_of(response))
        case HTTPStatus.FORBIDDEN if needed := _scopes(error, "required_scopes"):
            message = _too_few_rights(message, needed, _scopes(error, "user_scopes"), held, challenge_of(response))
        case _:
            pass
    code = ExitCode.UNREACHABLE if response.status == HTTPStatus.SERVICE_UNAVAILABLE else ExitCode.FAILED
    return CliError(message, code)


def challenge_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The parameters of the response's Bearer challenges (RFC 6750, section 3)."""
    headers = response.headers.getall("WWW-Authenticate", [])
    return dict(_PARAMETER.findall(" ".join(each for each in headers if each.lower().startswith("bearer"))))


def _unknown_caller(message: str, gateway: str, held: TokenSource, challenge: dict[str, str]) -> str:
    login = f"`{follow_up('login')}`"
    key = "a key by --token or ASYA_TOKEN (operators make keys with `asya auth key create NAME`)"
    how = f"log in with {login}, or give {key}" if "resource_metadata" in challenge else f"give {key}"
    match held:
        case TokenSource.NOTHING:
            return f"{gateway} asks who calls: {how}"
        case TokenSource.TOKEN:
            return f"{gateway} refuses the token of --token or ASYA_TOKEN: {message}; {how}"
        case TokenSource.LOGIN:
            return f"{gateway} refuses your login: {message}; log in again with {login}"


def _too_few_rights(
    message: str, needed: Sequence[str], owned: Sequence[str], held: TokenSource, challenge: dict[str, str]
) -> str:
    """Both ways ask for what is held, too: neither a key nor a login adds to another one."""
    options = _options({*needed, *owned})
    ways = [f"a key gives them (operators make it with `asya auth key create NAME {options}`)"]
    if held is TokenSource.LOGIN or (held is TokenSource.NOTHING and "resource_metadata" in challenge):
        ways.append(f"the login of a person who holds them does (`{follow_up('login')} {options}`)")
    return f"{message}; you hold {' '.join(owned) or 'none'}: {', or '.join(ways)}"


def _options(scopes: Iterable[str]) -> str:
    return " ".join(f"--scope {shlex.quote(each)}" for each in sorted(scopes))


def _message(error: dict[str, Any]) -> str:
    message, field = str(error["message"]), error.get("field")
    return f"{field}: {message}" if field and error.get("code") not in OWN_FIELDS else message


def _scopes(error: dict[str, Any], member: str) -> list[str]:
    """Of REST and MCP `data`; of A2A the metadata of an ErrorInfo, as one text."""
    data = error.get("data", error.get("details"))
    if isinstance(data, list):
        infos = [each.get("metadata") for each in data if isinstance(each, dict)]
        data = next((each for each in infos if isinstance(each, dict) and member in each), None)
    found = data.get(member) if isinstance(data, dict) else None
    if isinstance(found, str):
        found = found.replace(",", " ").split()
    return [str(each) for each in found] if isinstance(found, list) else []


def _error_of(text: str, response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The error object of REST and of JSON-RPC. A response from something in between is cut to one line."""
    try:
        error: dict[str, Any] = jsontext.loads(text)["error"]
        error["message"]
    except (ValueError, TypeError, LookupError):
        first = text.strip().splitlines()[0][:200] if text.strip() else ""
        return {"message": f"{response.status} {response.reason}{': ' + first if first else ''}"}
    return error

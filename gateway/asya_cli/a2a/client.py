"""A client of one agent, in 1.0 over JSON-RPC or HTTP+JSON, or in 0.3. What it returns has the form of 1.0."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp

from asya_cli.a2a.cards import Interface, card_urls, declares, interfaces_to_try
from asya_cli.a2a.older import METHODS, newer_result, older_params
from asya_cli.bearers import NOBODY, Bearer
from asya_cli.client import events_of
from asya_cli.errors import CliError, ExitCode
from asya_cli.refusals import refusal, refused
from asya_cli.rendering import err
from asya_crds import jsontext
from asya_crds.naming import A2A_SKILL_EXTENSION

Json = dict[str, Any]

LARGEST_ANSWER = 64 * 1024 * 1024
NO_CARD = "no agent card: "
"""With what the gateway begins to say why there is no card."""
OF_THE_URL = 2
"""How many of the places where a card may be are below the URL itself."""
TASK_NOT_FOUND, UNSUPPORTED_OPERATION, VERSION_NOT_SUPPORTED, METHOD_NOT_FOUND = -32001, -32004, -32009, -32601
PATHS = {
    "SendMessage": ("POST", "/message:send"),
    "SendStreamingMessage": ("POST", "/message:stream"),
    "GetTask": ("GET", "/tasks/{id}"),
    "ListTasks": ("GET", "/tasks"),
    "CancelTask": ("POST", "/tasks/{id}:cancel"),
    "SubscribeToTask": ("POST", "/tasks/{id}:subscribe"),
    "GetExtendedAgentCard": ("GET", "/extendedAgentCard"),
}
"""The methods in the HTTP+JSON binding (section 11.3)."""


class AgentError(CliError):
    """The agent answers with an error of the protocol; `code` is JSON-RPC's, 0 for one of HTTP+JSON without a known
    reason."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


REASONS = {
    "TASK_NOT_FOUND": TASK_NOT_FOUND,
    "UNSUPPORTED_OPERATION": UNSUPPORTED_OPERATION,
    "VERSION_NOT_SUPPORTED": VERSION_NOT_SUPPORTED,
}


class AgentClient:
    """Speaks to the agent at `url`. The token goes to that origin only. Every method raises CliError."""

    def __init__(self, session: aiohttp.ClientSession, url: str, bearer: Bearer) -> None:
        self._session, self._url, self._bearer = session, url, bearer
        self._card: Json | None = None
        self._interfaces: list[Interface] = []

    async def card(self) -> Json:
        """The agent's public card."""
        if self._card is None:
            self._card = await self._found()
            self._interfaces = interfaces_to_try(self._card)
        return self._card

    async def _found(self) -> Json:
        reason = ""
        for url in (urls := card_urls(self._url)):
            async with self._request("GET", url, {"A2A-Version": "1.0"}) as response:
                if response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE):
                    reason = reason or await _said_of_cards(response)
                    continue
                if response.status != HTTPStatus.OK:
                    raise await self._refusal(response)
                card = await _json_of(response)
                if isinstance(card, dict) and isinstance(card.get("name"), str):
                    if urls.index(url) >= OF_THE_URL:
                        err.print(f"no agent card below {self._url}; using that of its host", style="yellow")
                    return card
        raise CliError(f"no agent card at {self._url}: {reason or 'expected one at ' + ', '.join(urls)}")

    async def send(self, params: Json) -> Json:
        """SendMessage: {"task"} or {"message"}."""
        return await self._call("SendMessage", params)

    async def task(self, task_id: str) -> Json:
        """GetTask."""
        return await self._call("GetTask", {"id": task_id})

    async def tasks(self, params: Json) -> Json:
        """ListTasks: a page of the caller's tasks."""
        return await self._call("ListTasks", params)

    async def cancel(self, task_id: str) -> Json:
        """CancelTask: the task as it has ended."""
        return await self._call("CancelTask", {"id": task_id})

    async def extended_card(self) -> Json:
        """GetExtendedAgentCard."""
        return await self._call("GetExtendedAgentCard", {})

    async def stream(self, method: str, params: Json) -> AsyncGenerator[Json]:
        """SendStreamingMessage or SubscribeToTask: its StreamResponses. Raises _Cut if the connection is lost."""
        interface = await self._interface()
        try:
            async for event in self._events(interface, method, params):
                yield event
            return
        except AgentError as error:
            fallback = self._fallback(interface, error)
        async with aclosing(self._events(fallback, method, params)) as events:
            async for event in events:
                yield event

    async def _call(self, method: str, params: Json) -> Json:
        interface = await self._interface()
        try:
            return await self._answer(interface, method, params)
        except AgentError as error:
            return await self._answer(self._fallback(interface, error), method, params)

    async def _interface(self) -> Interface:
        await self.card()
        return self._interfaces[0]

    def _fallback(self, failed: Interface, error: AgentError) -> Interface:
        """The interface of 0.3, if the agent does not know 1.0 after all. Raises the error otherwise."""
        if error.number not in (VERSION_NOT_SUPPORTED, METHOD_NOT_FOUND) or failed.older:
            raise error
        older = next((each for each in self._interfaces if each.older), Interface(failed.url, "JSONRPC", "0.3"))
        self._interfaces = [older]
        return older

    async def _answer(self, interface: Interface, method: str, params: Json) -> Json:
        async with self._sent(interface, method, params, "application/json") as response:
            if response.status != HTTPStatus.OK and response.content_type != "application/json":
                raise await self._refusal(response)
            result = await self._result(interface, response, await _json_of(response))
        return _newer(interface, method, result)

    async def _events(self, interface: Interface, method: str, params: Json) -> AsyncGenerator[Json]:
        async with self._sent(interface, method, params, "text/event-stream") as response:
            if response.content_type != "text/event-stream":
                # An error before the first event is a plain answer.
                result = await self._result(interface, response, await _json_of(response))
                yield _newer(interface, method, result)
                return
            async for event in events_of(response.content):
                value = event.data
                if interface.binding == "JSONRPC":
                    value = _unwrapped(value)
                yield _newer(interface, method, value)

    async def _result(self, interface: Interface, response: aiohttp.ClientResponse, value: Any) -> Any:
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise refused(jsontext.dumps(value), response, self._url, self._bearer.held)
        if interface.binding == "JSONRPC":
            return _unwrapped(value)
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _rest_error(value, response)
        return value

    @asynccontextmanager
    async def _sent(
        self, interface: Interface, method: str, params: Json, accept: str
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        headers = {"Accept": f"{accept}, application/json", "A2A-Version": "0.3" if interface.older else "1.0"}
        if self._card is not None and declares(self._card, A2A_SKILL_EXTENSION):
            headers["X-A2A-Extensions" if interface.older else "A2A-Extensions"] = A2A_SKILL_EXTENSION
        verb, url, body = _request_of(interface, method, params)
        async with self._request(verb, url, headers, body) as response:
            yield response

    @asynccontextmanager
    async def _request(
        self, verb: str, url: str, headers: Mapping[str, str], body: Any = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        sent = dict(headers)
        bearer = self._bearer if _origin(url) == _origin(self._url) else NOBODY
        if token := await bearer.token():
            sent["Authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = jsontext.dumps(body).encode()
        try:
            async with self._session.request(
                verb, url, headers=sent, data=data, allow_redirects=verb == "GET"
            ) as found:
                yield found
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            raise CliError(f"no agent responds at {url}", ExitCode.UNREACHABLE) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise CliError(f"{url}: {error}") from error

    async def _refusal(self, response: aiohttp.ClientResponse) -> CliError:
        return await refusal(response, self._url, self._bearer.held)


def _request_of(interface: Interface, method: str, params: Json) -> tuple[str, str, Any]:
    """Verb, URL and body of a request."""
    if interface.binding == "HTTP+JSON":
        verb, path = PATHS[method]
        tenant = f"/{quote(interface.tenant, safe='')}" if interface.tenant else ""
        url = interface.url.rstrip("/") + tenant + path.format(id=quote(str(params.get("id")), safe=""))
        query = f"?{urlencode(params)}" if method == "ListTasks" and params else ""
        return verb, url + query, params if method.startswith("Send") else None
    if interface.older:
        return "POST", interface.url, _envelope(METHODS[method], older_params(params))
    tenant_member = {"tenant": interface.tenant} if interface.tenant else {}
    return "POST", interface.url, _envelope(method, {**params, **tenant_member})


def _envelope(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _newer(interface: Interface, method: str, result: Any) -> Json:
    """A result in the form of 1.0. Raises CliError if it is not one."""
    try:
        if not isinstance(result, dict):
            raise TypeError
        if interface.older:
            return newer_result(method, result)
    except (KeyError, TypeError, AttributeError):
        raise CliError(f"the agent's answer to {method} is not one of A2A {interface.version}") from None
    return result


def _unwrapped(value: Any) -> Any:
    """The result of a JSON-RPC response. Raises AgentError."""
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        error = value["error"]
        code = error.get("code")
        raise AgentError(
            f"the agent says: {_said_in(error) or code}{_skills_of(error.get('data'))}",
            code if isinstance(code, int) else 0,
        )
    if not isinstance(value, dict) or "result" not in value:
        raise CliError("the agent's answer is no JSON-RPC response")
    return value["result"]


def _said_in(error: Mapping[str, Any]) -> str:
    """The message of an error, with the option that fills in what it misses."""
    text = str(error.get("message") or "")
    return f"{text} (option --skill)" if "metadata.skill" in text else text


def _skills_of(infos: Any) -> str:
    """The skills that a refusal lists, as a gateway of ours does."""
    for each in infos if isinstance(infos, list) else ():
        listed = (each.get("metadata") or {}).get("available_agents") if isinstance(each, dict) else None
        if isinstance(listed, str) and listed:
            return f"; it has: {listed}"
    return ""


def _rest_error(value: Any, response: aiohttp.ClientResponse) -> AgentError:
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict):
        return AgentError(f"the agent says: {response.status} {response.reason}", 0)
    details = error.get("details")
    reasons = [each.get("reason") for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    number = next((REASONS[str(reason)] for reason in reasons if str(reason) in REASONS), 0)
    return AgentError(f"the agent says: {_said_in(error) or response.reason}{_skills_of(details)}", number)


async def _said_of_cards(response: aiohttp.ClientResponse) -> str:
    """Why a gateway has no card here; "" if the server does not say."""
    text = (await response.content.read(500)).decode(errors="replace").strip()
    return text.removeprefix(NO_CARD) if text.startswith(NO_CARD) and "\n" not in text else ""


async def _json_of(response: aiohttp.ClientResponse) -> Any:
    """The body, which must be JSON of a bounded size. Raises CliError."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise CliError(f"{response.url}: the answer is larger than {LARGEST_ANSWER} bytes")
    try:
        return jsontext.loads(bytes(body))
    except ValueError:
        raise CliError(f"{response.url}: expected JSON, got {response.status} {response.content_type}") from None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


@asynccontextmanager
async def connect_agent(url: str, bearer: Bearer) -> AsyncGenerator[AgentClient]:
    """A client of the agent at `url`."""
    # A blocking message may wait for minutes.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=600)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield AgentClient(session, url, bearer)

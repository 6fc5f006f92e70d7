"""Requests to the API server, with its errors translated to the domain's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes_asyncio.client import ApiClient, Configuration

from asya_operator.domain.errors import (
    ApiForbidden,
    Busy,
    Conflicting,
    OutsideError,
    RequestRefused,
    Unreachable,
    Vanished,
)
from asya_operator.domain.nesting import loads

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """Status and decoded body of an answer."""

    status: int
    body: Any


class Rest:
    """Requests with the credentials of one client."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float = TIMEOUT,
    ) -> ApiResponse:
        """The answer, whatever its status. Raises Unreachable if there is none within `timeout` seconds."""
        try:
            response: aiohttp.ClientResponse = await self._client.call_api(
                path,
                method,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=timeout,
            )
            async with response:
                text = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"the API server does not respond: {str(error) or type(error).__name__}") from error
        return ApiResponse(response.status, _decode(text))

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """The body of a successful answer. Any other answer is raised as an error of the domain."""
        answer = await self.call(method, path, **options)
        if answer.status < 300:
            return answer.body
        raise error_of(answer, f"{method} {path}")

    @property
    def configuration(self) -> Configuration:
        """Address and credentials, for other clients of the same API server."""
        return self._client.configuration

    @property
    def token(self) -> str | None:
        """The current bearer token, without its scheme."""
        token = self.configuration.api_key.get("BearerToken")
        return token.split(" ", 1)[-1] if token else None

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()


def error_of(answer: ApiResponse, what: str) -> OutsideError:
    """The domain's error for an answer. Its text is the API server's message."""
    message = answer.body.get("message") if isinstance(answer.body, dict) else None
    text = str(message or f"{what}: HTTP {answer.status}")
    match answer.status:
        case 401 | 403:
            return ApiForbidden(text)
        case 404 | 410:
            return Vanished(text)
        case 409:
            return Conflicting(text)
        case 429:
            return Busy(text)
        case 408 | 500 | 502 | 503 | 504:
            return Unreachable(text)
        case _:
            return RequestRefused(text)


def _decode(text: bytes) -> Any:
    try:
        return loads(text) if text else None
    except ValueError:
        return None

"""The one HTTP client for URLs that come from settings, callers or other systems' documents.

The rule is applied where a socket is made, to the address that this socket then connects to, so a name that changes its
address between a check and the connection changes nothing (DNS rebinding).
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import (
    AddrInfoType,
    ClientError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    SocketFactoryType,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver
from aiohttp.client_exceptions import ClientConnectorDNSError, ClientConnectorError, ClientSSLError
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from asya_gateway.outbound.addresses import address_of
from asya_gateway.outbound.bodies import read_body
from asya_gateway.outbound.errors import AnswerRefused, NoAnswer, TargetRefused
from asya_gateway.outbound.permitting import (
    Allowed,
    Origin,
    Reach,
    check_without_lookup,
    checked_url,
    host_of,
    permits,
    reach_of,
)
from asya_gateway.outbound.resolving import Resolver

log = logging.getLogger(__name__)

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one exchange may cost: seconds from the lookup of the name to the last byte, and bytes of the body."""

    seconds: float = 5.0
    bytes: int = MIB


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is not a redirect, whatever its status."""

    status: int
    body: bytes
    headers: CIMultiDictProxy[str] = field(default_factory=lambda: CIMultiDictProxy(CIMultiDict()))


def operators_url(url: str, setting: str) -> Origin:
    """What a URL in this setting permits: its own scheme, host and port, at private addresses too. Warns of http. What
    it redirects or refers to is not permitted by it. Raises TargetRefused if it is not a URL."""
    parsed = checked_url(url)
    if parsed.scheme == "http":
        log.warning("%s: http is neither encrypted nor authenticated; expected an https URL", setting)
    return Origin.of(parsed)


class OutboundClient:
    """Sends requests by https to public addresses, follows no redirects, and bounds bytes and time (docs/outbound.md).

    One for a process. Connections are kept, but never shared between requests that different rules permit.
    """

    def __init__(
        self,
        allowed: Allowed = Allowed(),  # noqa: B008 # frozen
        *,
        proxy: str = "",
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._allowed = allowed
        self._proxy = URL(proxy) if proxy else None
        self._tls = tls
        self._resolver = resolver or Resolver()
        self._sessions: dict[Reach, ClientSession] = {}

    async def get(
        self,
        url: str,
        *,
        permission: Origin | None = None,
        limits: Limits = Limits(),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to GET. Raises TargetRefused, NoAnswer or AnswerRefused."""
        return await self._send("GET", url, permission, limits, headers or {}, None)

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        permission: Origin | None = None,
        limits: Limits = Limits(),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to POST. Raises TargetRefused, NoAnswer or AnswerRefused; after the last two it is unknown whether
        the target has received the request."""
        return await self._send("POST", url, permission, limits, headers or {}, body)

    async def close(self) -> None:
        """Close every connection. No request may follow."""
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()

    async def _send(
        self,
        method: str,
        text: str,
        permission: Origin | None,
        limits: Limits,
        headers: LooseHeaders,
        body: bytes | None,
    ) -> Answer:
        url = checked_url(text)
        reach = reach_of(url, permission, self._allowed)
        proxy = None if self._is_direct(url) else self._proxy
        if proxy is not None:
            check_without_lookup(url, reach, self._allowed)
            reach = Reach.NAMED
        session = self._session(reach)
        try:
            async with (
                asyncio.timeout(limits.seconds),
                session.request(method, url, headers=headers, data=body, proxy=proxy, allow_redirects=False) as answer,
            ):
                if 300 <= answer.status < 400:
                    raise AnswerRefused("it redirects, and redirects are not followed")
                return Answer(answer.status, await read_body(answer, limits.bytes), answer.headers)
        except TimeoutError:
            raise NoAnswer(f"no complete answer within {limits.seconds:g} s") from None
        except (ClientError, OSError, ValueError) as error:
            raise _worded(error) from error

    def _is_direct(self, url: URL) -> bool:
        """Private targets of the list are inside, where the proxy does not lead."""
        address = address_of(host_of(url))
        return self._allowed.names(host_of(url)) or (address is not None and self._allowed.contains(address))

    def _session(self, reach: Reach) -> ClientSession:
        session = self._sessions.get(reach)
        if session is None:
            connector = TCPConnector(
                socket_factory=_guarded(reach, self._allowed),
                resolver=self._resolver,
                ssl=self._tls or True,
            )
            session = self._sessions[reach] = ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                timeout=ClientTimeout(total=None, sock_connect=None),
                headers={"User-Agent": "asya-gateway", "Accept-Encoding": "identity"},
            )
        return session


class _AddressRefused(OSError):
    pass


def _guarded(reach: Reach, allowed: Allowed) -> SocketFactoryType:
    """Makes sockets for permitted addresses alone. aiohttp calls it for each address that it dials, also for one that
    the URL spells out."""

    def make(info: AddrInfoType) -> socket.socket:
        family, kind, proto, _, where = info
        address = address_of(str(where[0]))
        if address is None or not permits(reach, address, allowed):
            raise _AddressRefused("its address may not be reached")
        return socket.socket(family, kind, proto)

    return make


def _worded(error: Exception) -> TargetRefused | NoAnswer:
    match error:
        case ClientConnectorDNSError():
            return NoAnswer("its host name was not found")
        case ClientSSLError():
            return NoAnswer("its TLS certificate is not accepted, or it speaks no TLS")
        case ClientConnectorError(os_error=_AddressRefused()):
            return TargetRefused("its address may not be reached")
        case ClientConnectorError():
            return NoAnswer("it could not be reached")
        case _:
            return NoAnswer("the connection failed, or the answer is not HTTP")

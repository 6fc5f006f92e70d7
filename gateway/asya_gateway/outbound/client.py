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

from asya_gateway.outbound.addresses import Address, address_of
from asya_gateway.outbound.bodies import discard_body, read_body
from asya_gateway.outbound.errors import AddressRefused, AnswerRefused, NameNotReached, NoAnswer, TargetRefused
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
from asya_gateway.outbound.resolving import Resolver, looked_up_for

log = logging.getLogger(__name__)

MIB = 1024 * 1024
LOOKUP_SECONDS = 3.0
"""Seconds that `check` waits for the addresses of a name."""


@dataclass(frozen=True, slots=True)
class ExchangeLimits:
    """What one exchange may cost: seconds from the lookup of the name to the last byte, and bytes of the body."""

    seconds: float = 5.0
    bytes: int = MIB


@dataclass(frozen=True, slots=True)
class OutboundResponse:
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

    Connections are kept, but never shared between requests that different rules permit. There are at most `connections`
    under each rule; further requests wait for one, within their time.
    """

    def __init__(
        self,
        allowed: Allowed = Allowed(),  # noqa: B008 # frozen
        *,
        proxy: str = "",
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        connections: int = 100,
    ) -> None:
        self._allowed = allowed
        self._proxy = URL(proxy) if proxy else None
        self._tls = tls
        self._connections = connections
        self._resolver = resolver or Resolver()
        self._sessions: dict[Reach, ClientSession] = {}

    async def check(self, url: str, permission: Origin | None = None, *, party: str = "") -> None:
        """Refuse a URL that no request may reach, as far as that is known before one. A name that has no address is
        refused as one with an address that may not be reached. `party`: who chose the URL, by name; names are looked up
        only a few at a time for each. Raises TargetRefused, NameNotReached."""
        parsed = checked_url(url)
        reach = reach_of(parsed, permission, self._allowed)
        address = address_of(host_of(parsed))
        if self._proxy is not None and not self._is_direct(parsed):
            check_without_lookup(parsed, reach, self._allowed)
            return
        if address is not None:
            if not permits(reach, address, self._allowed):
                raise AddressRefused
        elif not any(permits(reach, each, self._allowed) for each in await self._addresses(parsed, party)):
            raise NameNotReached

    async def _addresses(self, url: URL, party: str) -> list[Address]:
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                with looked_up_for(party):
                    found = await self._resolver.resolve(host_of(url), url.port or 0, socket.AF_UNSPEC)
        except UnicodeError:
            raise TargetRefused("its host cannot be looked up") from None
        except (OSError, TimeoutError):
            return []
        return [address for each in found if (address := address_of(each["host"])) is not None]

    async def get(
        self,
        url: str,
        *,
        permission: Origin | None = None,
        limits: ExchangeLimits = ExchangeLimits(),
        headers: Mapping[str, str] | None = None,
    ) -> OutboundResponse:
        """The answer to GET. Raises TargetRefused, NoAnswer or AnswerRefused."""
        return await self._send("GET", url, permission, limits, headers or {}, None)

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        permission: Origin | None = None,
        limits: ExchangeLimits = ExchangeLimits(),
        headers: Mapping[str, str] | None = None,
        reads: bool = True,
        party: str = "",
    ) -> OutboundResponse:
        """The answer to POST; with `reads` false without its body, whatever that is; `party` is that of `check`. Raises
        TargetRefused, NoAnswer or AnswerRefused; after the last two it is unknown whether the target has received the
        request, except after NameNotReached."""
        return await self._send("POST", url, permission, limits, headers or {}, body, reads=reads, party=party)

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
        limits: ExchangeLimits,
        headers: LooseHeaders,
        body: bytes | None,
        *,
        reads: bool = True,
        party: str = "",
    ) -> OutboundResponse:
        with looked_up_for(party) as lookups:
            try:
                return await self._exchange(method, text, permission, limits, headers, body, reads=reads)
            except TimeoutError:
                if lookups.waiting:
                    raise NameNotReached from None
                raise NoAnswer(f"no complete answer within {limits.seconds:g} s") from None

    async def _exchange(
        self,
        method: str,
        text: str,
        permission: Origin | None,
        limits: ExchangeLimits,
        headers: LooseHeaders,
        body: bytes | None,
        *,
        reads: bool,
    ) -> OutboundResponse:
        """Raises TimeoutError beside what `_send` raises."""
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
                if not reads:
                    await discard_body(answer, limits.bytes)
                    return OutboundResponse(answer.status, b"", answer.headers)
                return OutboundResponse(answer.status, await read_body(answer, limits.bytes), answer.headers)
        except TimeoutError:
            raise
        except (ClientError, OSError, ValueError) as error:
            raise _worded(error, named=address_of(host_of(url)) is None) from error

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
                use_dns_cache=False,
                limit=self._connections,
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


class _SocketRefused(OSError):
    """The rule permits no socket for an address."""


def _guarded(reach: Reach, allowed: Allowed) -> SocketFactoryType:
    """Makes sockets for permitted addresses alone. aiohttp calls it for each address that it dials, also for one that
    the URL spells out."""

    def make(info: AddrInfoType) -> socket.socket:
        family, kind, proto, _, where = info
        address = address_of(str(where[0]))
        if address is None or not permits(reach, address, allowed):
            raise _SocketRefused
        return socket.socket(family, kind, proto)

    return make


def _worded(error: Exception, *, named: bool) -> TargetRefused | NoAnswer:
    """`named`: the URL has a name for its host."""
    match error:
        case ClientConnectorDNSError():
            return NameNotReached()
        case ClientSSLError():
            return NoAnswer("its TLS certificate is not accepted, or it speaks no TLS")
        case ClientConnectorError(os_error=_SocketRefused()):
            return NameNotReached() if named else AddressRefused()
        case ClientConnectorError():
            return NoAnswer("it could not be reached")
        case _:
            return NoAnswer("the connection failed, or the answer is not HTTP")

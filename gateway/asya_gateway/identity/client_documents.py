"""Client id metadata documents: a client whose id is the URL of its description
(draft-ietf-oauth-client-id-metadata-document).

Whoever opens an authorization page can make the gateway fetch a URL. So fetches are few, small and short, go through
the guarded client, and what came of them is remembered.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlsplit

from asya_crds import jsontext
from asya_gateway.domain.errors import GatewayError, Overloaded, Unavailable
from asya_gateway.domain.identity.faults import TooManyRequests
from asya_gateway.domain.identity.scopes import COMMON_SCOPES
from asya_gateway.domain.oauth.clients import LONGEST_CLIENT_ID, Client, client_of_document
from asya_gateway.domain.oauth.errors import InvalidClient, InvalidClientMetadata, InvalidRedirectUri, OAuthError
from asya_gateway.domain.oauth.metadata import NO_SECRET, read_description
from asya_gateway.domain.oauth.rules import OAuthRules
from asya_gateway.domain.rates import Rates
from asya_gateway.domain.weighed import CACHE_BYTES, WeighedCache, weight_of
from asya_gateway.outbound.client import ExchangeLimits, OutboundResponse
from asya_gateway.outbound.errors import AnswerRefused, NoAnswer, TargetRefused
from asya_transports.bounded import shielded

log = logging.getLogger(__name__)

LIMITS = ExchangeLimits(seconds=5.0, bytes=32 * 1024)
DEPTH = 16
AT_ONCE = 4
MOST_WAITING = 32
HOST_PER_MINUTE = 10
SOURCE_SHARE = 12
"""Of the requests that one source may send, every twelfth may fetch a document. So a stranger has no more than half of
what may be fetched of a host, and does not keep others from the clients of that host."""
LONGEST_KEPT = 86_400.0
SHORTEST_KEPT = 60.0
KEPT_BY_DEFAULT = 3_600.0
"""Seconds for which a document without Cache-Control is kept."""
FAILURE_KEPT = 60.0

_MAX_AGE = re.compile(r"\s*(s-maxage|max-age)\s*=\s*\"?(\d{1,9})\"?\s*", re.IGNORECASE)
_DOTS = re.compile(r"/(\.|%2e){1,2}(/|$)", re.IGNORECASE)


class Fetching(Protocol):
    """The part of the guarded client that is used here."""

    async def get(self, url: str, *, limits: ExchangeLimits) -> OutboundResponse:
        """Raises OutboundError."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What came of a fetch, and until when (monotonic seconds)."""

    outcome: Client | OAuthError | GatewayError
    until: float


class ClientDocuments:
    """Fetches and remembers documents. Implements domain.oauth.ports.Documents. `per_minute` is the limit of requests
    of one source to an endpoint of the authorization server; 0 is none. `cache`: bytes of the documents that are
    remembered; `counted`: of the hosts that are counted, and as many of the sources."""

    def __init__(
        self,
        client: Fetching,
        rules: OAuthRules,
        *,
        per_minute: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        cache: int = CACHE_BYTES,
        counted: int = CACHE_BYTES,
    ) -> None:
        self._fetching, self._rules, self._monotonic = client, rules, monotonic
        self._known = WeighedCache[str, _Known](cache, _weight)
        self._under_way: dict[str, asyncio.Task[_Known]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._rates = Rates(HOST_PER_MINUTE / 60.0, HOST_PER_MINUTE, most_bytes=counted, monotonic=monotonic)
        fetches = per_minute / SOURCE_SHARE
        self._of_source = Rates(fetches / 60.0, fetches, most_bytes=counted, monotonic=monotonic)

    async def client(self, url: str, source: str = "") -> Client:
        """The client that is described at this URL. Raises InvalidClient, TooManyRequests, Unavailable."""
        host = _checked_host(url)
        if not self._rules.accepts_documents_of(host):
            raise InvalidClient("clients of this host have to register with a registration token")
        known = self._remembered(url) or await self._fetched(url, host, source)
        if isinstance(known.outcome, Client):
            return known.outcome
        raise known.outcome.with_traceback(None)

    async def close(self) -> None:
        """End the fetches under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _remembered(self, url: str) -> _Known | None:
        known = self._known.get(url)
        if known is None or known.until <= self._monotonic():
            return None
        return known

    async def _fetched(self, url: str, host: str, source: str) -> _Known:
        """One fetch for all who ask for the same document meanwhile. It goes on if one of them leaves."""
        task = self._under_way.get(url)
        if task is None:
            self._check_room(host, source)
            task = asyncio.create_task(self._fetch(url), name="client metadata")
            self._under_way[url] = task
            task.add_done_callback(lambda _: self._under_way.pop(url, None))
        return await shielded(task)

    def _check_room(self, host: str, source: str) -> None:
        if len(self._under_way) >= AT_ONCE + MOST_WAITING:
            raise Overloaded("too many client metadata documents are being fetched")
        if wait := self._of_source.wait(source):
            raise TooManyRequests("too many client metadata documents for this source", int(wait) + 1)
        if wait := self._rates.wait(host):
            raise TooManyRequests("too many client metadata documents of this host", int(wait) + 1)

    async def _fetch(self, url: str) -> _Known:
        async with self._slots:
            known = await self._outcome(url)
        self._known.keep(url, known)
        return known

    async def _outcome(self, url: str) -> _Known:
        try:
            answer = await self._fetching.get(url, limits=LIMITS)
            client = self._described(url, answer)
        except (InvalidClientMetadata, InvalidRedirectUri) as error:
            return self._failed(url, InvalidClient(f"client metadata document: {error.description}"))
        except AnswerRefused as error:
            return self._failed(url, InvalidClient(f"the client metadata document cannot be used: {error.reason}"))
        except (TargetRefused, NoAnswer) as error:
            # One answer for both, or strangers could ask which names the cluster's network knows. The log says more.
            return self._failed(url, Unavailable("the client metadata document cannot be fetched"), error.reason)
        return _Known(client, self._monotonic() + _kept(answer))

    def _failed(self, url: str, error: OAuthError | GatewayError, reason: str | None = None) -> _Known:
        log.info("client metadata document %s: %s", url, reason or error)
        return _Known(error, self._monotonic() + FAILURE_KEPT)

    def _described(self, url: str, answer: OutboundResponse) -> Client:
        document = _document(answer)
        if document.get("client_id") != url:
            raise InvalidClientMetadata("client_id: expected the URL of the document, character by character")
        if not document.get("client_name"):
            raise InvalidClientMetadata("client_name: expected a name")
        if "client_secret" in document or "client_secret_expires_at" in document:
            raise InvalidClientMetadata("client_secret: expected none, since everybody can read the document")
        described = read_description(document, self._rules.redirect_schemes)
        if described.auth_method != NO_SECRET:
            raise InvalidClientMetadata(f"token_endpoint_auth_method: expected {NO_SECRET}")
        return replace(
            client_of_document(url),
            name=described.name,
            redirect_uris=described.redirect_uris,
            scopes=described.scopes or COMMON_SCOPES,
            grant_types=described.grant_types,
        )


def _weight(known: _Known) -> int:
    """Bytes of what a stranger's document, or its URL, makes the gateway remember."""
    if not isinstance(known.outcome, Client):
        return LONGEST_CLIENT_ID + weight_of(str(known.outcome))
    client = known.outcome
    return 2 * LONGEST_CLIENT_ID + weight_of([client.name, client.redirect_uris, client.scopes, client.grant_types])


def _checked_host(url: str) -> str:
    """The host of a URL that may be a client's id: https, with a path, without dot segments, user and fragment (section
    3 of the draft). Raises InvalidClient."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 # it is this property that finds a malformed port
    except ValueError:
        raise InvalidClient("client_id: expected a URL") from None
    plain = len(url) <= LONGEST_CLIENT_ID and url.isascii() and url.isprintable() and " " not in url
    bad = "@" in parts.netloc or "#" in url or "\\" in url or _DOTS.search(parts.path)
    if not plain or bad or parts.scheme != "https" or not parts.hostname or len(parts.path) < 2:
        raise InvalidClient("client_id: expected an https URL with a path, without user, fragment and dot segments")
    return parts.hostname


def _document(answer: OutboundResponse) -> dict[str, Any]:
    if answer.status != 200:
        raise InvalidClientMetadata(f"expected status 200, got {answer.status}")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise InvalidClientMetadata("expected the content type application/json")
    try:
        document = jsontext.loads(answer.body, max_depth=DEPTH)
    except jsontext.InvalidJSON:
        raise InvalidClientMetadata("expected JSON") from None
    if not isinstance(document, dict):
        raise InvalidClientMetadata("expected a JSON object")
    return document


def _kept(answer: OutboundResponse) -> float:
    """Seconds for which the document may be used again (RFC 9111, section 4.2.1), within our own bounds."""
    directives = ",".join(answer.headers.getall("Cache-Control", [])).split(",")
    if any(each.strip().lower() in ("no-store", "no-cache") for each in directives):
        return SHORTEST_KEPT
    ages = [int(match[2]) for each in directives if (match := _MAX_AGE.fullmatch(each))]
    return min(LONGEST_KEPT, max(SHORTEST_KEPT, min(ages, default=KEPT_BY_DEFAULT)))

"""Keeps the keys of one issuer: fetched in the background, and once more when a token needs one that is not known."""

import asyncio
import logging
import time
from collections.abc import Callable

from asya_gateway.domain.errors import Unavailable
from asya_gateway.identity.jwt.key_set import KeySet, UnusableKeys, read_keys
from asya_gateway.identity.jwt.locating import Locate
from asya_gateway.outbound.client import ExchangeLimits, OutboundClient
from asya_gateway.outbound.errors import OutboundError
from asya_gateway.outbound.permitting import Origin
from asya_transports.bounded import shielded

log = logging.getLogger(__name__)

REFRESH = 600.0
"""Seconds between two fetches."""
RETRY = 30.0
"""Seconds until the next fetch after one that failed."""
STALEST = 24 * 3600.0
"""Seconds for which keys are used that could not be fetched again."""
BETWEEN_FETCHES = 10.0
"""Seconds between two fetches because of tokens, which strangers can make up."""
LIMITS = ExchangeLimits(seconds=5.0, bytes=256 * 1024)


class IssuerKeys:
    """The keys of one issuer. While none are known, whoever asks gets Unavailable: nothing can be said about a token.

    `name` is the issuer in the log. `permission` is that of the operator's URL; keys elsewhere must be public.
    """

    def __init__(
        self,
        client: OutboundClient,
        name: str,
        locate: Locate,
        permission: Origin | None,
        *,
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        refresh: float = REFRESH,
        retry: float = RETRY,
        limits: ExchangeLimits = LIMITS,
    ) -> None:
        self._client = client
        self._name = name
        self._locate = locate
        self._permission = permission
        self._on_change = on_change
        self._clock = clock
        self._refresh = refresh
        self._retry = retry
        self._limits = limits
        self._keys: KeySet | None = None
        self._good_at = 0.0
        self._tried_at: float | None = None
        self._problem: str | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to fetch. Does not wait for the issuer."""
        self._keeping = asyncio.create_task(self._keep(), name="issuer keys")

    async def stop(self) -> None:
        """Stop. May be called twice."""
        tasks = [each for each in (self._keeping, self._fetching) if each is not None]
        self._keeping = self._fetching = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def current(self) -> KeySet:
        """The keys in force. Raises Unavailable if there are none, and the issuer cannot be asked now."""
        keys = self._in_force()
        if keys is None:
            await self._fetch_for_token()
            keys = self._in_force()
        if keys is None:
            raise Unavailable("the keys of the token's issuer are not available")
        return keys

    async def newest(self) -> KeySet:
        """The keys in force, fetched once more unless that was done a moment ago. Raises Unavailable if the issuer
        cannot be asked."""
        await self._fetch_for_token()
        if self._problem is not None:
            raise Unavailable("the token's issuer could not be asked for its newest keys")
        return await self.current()

    def _in_force(self) -> KeySet | None:
        return self._keys if self._clock() - self._good_at <= STALEST else None

    async def _fetch_for_token(self) -> None:
        if self._is_fetching or self._tried_at is None or self._clock() - self._tried_at >= BETWEEN_FETCHES:
            await self._fetch()

    async def _keep(self) -> None:
        while True:
            await self._fetch()
            await asyncio.sleep(self._refresh if self._problem is None else self._retry)

    async def _fetch(self) -> None:
        """One fetch at a time, which whoever needs it waits for together. It goes on if one of them leaves."""
        if self._fetching is None or not self._is_fetching:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch_once(), name="issuer keys: fetch")
        await shielded(self._fetching)

    @property
    def _is_fetching(self) -> bool:
        return self._fetching is not None and not self._fetching.done()

    async def _fetch_once(self) -> None:
        where = _shown(self._permission)
        try:
            url = await self._locate()
            where = url.partition("?")[0]
            answer = await self._client.get(
                url, permission=self._permission, limits=self._limits, headers={"Accept": "application/json"}
            )
            if answer.status != 200:
                raise UnusableKeys(f"status {answer.status}")
            keys = self._keys
            if keys is None or keys.source != answer.body:
                keys = await asyncio.to_thread(read_keys, answer.body)
        except (OutboundError, UnusableKeys) as error:
            self._note(str(error), where)
        except Exception:
            # Whatever an issuer's document does, tokens are still judged by the keys that are known.
            log.exception("keys of %s", self._name)
            self._problem = "it failed"
        else:
            self._take(keys)

    def _take(self, keys: KeySet) -> None:
        changed, self._keys = keys is not self._keys, keys
        self._good_at = self._clock()
        self._note(None)
        if changed:
            log.info("keys of %s: %d in force, %d not usable", self._name, len(keys.keys), keys.skipped)
            self._on_change()

    def _note(self, problem: str | None, where: str = "") -> None:
        """Log each change once. `where` was asked for the keys."""
        if problem is not None and problem != self._problem:
            known = self._in_force() is not None
            effect = "those known before are used for a day" if known else "none are known, so its tokens get 503"
            log.warning("keys of %s: %s: %s; %s", self._name, where, problem, effect)
        self._problem = problem


def _shown(origin: Origin | None) -> str:
    """Where an issuer's metadata is asked for."""
    return "its metadata" if origin is None else f"metadata at {origin.scheme}://{origin.host}:{origin.port}"

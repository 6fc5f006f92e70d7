"""Requests to the mesh routes. A request that mesh cannot accept now is repeated until it can. The caller gets only
answers that a repetition cannot change. Nothing here counts as an attempt of the handler."""

import asyncio
import io
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp

from asya_actor.retry_pauses import FIRST_PAUSE, LONGEST_PAUSE
from asya_actor.telemetry.metrics import REPORT_RETRIES
from asya_actor.telemetry.tracing import carried
from asya_crds import jsontext
from asya_crds.hop_reports import REPORTS_PATH
from asya_crds.mesh_messages import StandingAnswer

log = logging.getLogger(__name__)

LONGEST_RETRY_AFTER = 30.0
"""Most seconds between two attempts of one request."""

USER_AGENT = "asya-actor"
"""Tells mesh that an incomplete report will be repeated."""

STREAMED_BYTES = 256 * 1024

LATER = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
"""Statuses after which the same request may succeed later, besides those from 500."""

_NOT_MESH = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.MISDIRECTED_REQUEST,
}
"""Statuses that do not come from mesh but from something in front of it (a proxy, a policy, a refused Host). Once that
is fixed, the report is still needed, and a dropped result would be lost."""


class MeshUnavailable(Exception):
    """Mesh could not accept the request now. Raised only by requests that are tried once. `retry_after` in seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class MeshRefused(Exception):
    """Mesh will never accept this request. The text is its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason

    @property
    def elsewhere(self) -> bool:
        """Whether something other than mesh answered. Mesh's 404 says what was not found ("Task not found"). A bare
        "not found" comes from a server without these routes, such as the api service."""
        return self.status in _NOT_MESH or (self.status == HTTPStatus.NOT_FOUND and "task" not in self.reason.lower())

    @property
    def too_large(self) -> bool:
        """Whether its size is the reason."""
        return self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for one attempt."""

    connect: float = 5.0
    total: float = 30.0
    active: float = 2.0


class BatchLimits(NamedTuple):
    """Mesh takes several reports in one request: at most so many rows and bytes."""

    rows: int
    bytes: int


class MeshClient:
    """One HTTP session for all envelopes of a process; `base` is the gateway's URL (urls.py).

    `offers`: by gateway URL, whether it takes several reports in one request.
    """

    def __init__(self, timeouts: Timeouts | None = None, offers: Mapping[str, BatchLimits] | None = None) -> None:
        self._timeouts = timeouts or Timeouts()
        self.offers: dict[str, BatchLimits] = dict(offers or {})
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def progress(self, base: str, task_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST /mesh/{id}/progress. Raises MeshRefused."""
        return await self._until_taken(base, f"/mesh/{_quoted(task_id)}/progress", body, task_id)

    async def progress_once(self, base: str, task_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The same with a single attempt. Raises MeshUnavailable, MeshRefused."""
        data = jsontext.dumps(body).encode()
        url = f"{base}/mesh/{_quoted(task_id)}/progress"
        return _object(await self._once("POST", url, data, total=self._timeouts.total))

    async def reports(self, base: str, body: bytes, *, within: float | None = None) -> bytes:
        """POST /mesh/hops/reports with a single attempt, `within` so many seconds; returns the answer's body. Raises
        MeshUnavailable, MeshRefused."""
        return await self._once("POST", base + REPORTS_PATH, body, total=within or self._timeouts.total)

    async def final(self, base: str, task_id: str, body: Mapping[str, Any]) -> None:
        """POST /mesh/{id}/final. Raises MeshRefused."""
        await self._until_taken(base, f"/mesh/{_quoted(task_id)}/final", body, task_id)

    async def crew(self, base: str, body: Mapping[str, Any], *, within: float) -> dict[str, Any]:
        """POST /mesh/crews/heartbeat with a single attempt, `within` so many seconds. Raises MeshUnavailable,
        MeshRefused."""
        return _object(
            await self._once("POST", f"{base}/mesh/crews/heartbeat", jsontext.dumps(body).encode(), total=within)
        )

    async def announce(self, base: str, body: Mapping[str, Any]) -> None:
        """POST /mesh: a fan-out's child. Raises MeshRefused."""
        await self._until_taken(base, "/mesh", body, str(body["id"]), by_mesh=False)

    async def fly(self, base: str, task_id: str, body: bytes, wait: float) -> None:
        """POST /mesh/{id}/fly, once. Raises MeshUnavailable, MeshRefused."""
        url = f"{base}/mesh/{_quoted(task_id)}/fly"
        await self._once("POST", url, body, total=wait)

    async def active(self, base: str, task_id: str) -> bool:
        """GET /mesh/{id}/active, once: False only if mesh answers 410. Raises MeshUnavailable."""
        try:
            await self._once("GET", f"{base}/mesh/{_quoted(task_id)}/active", None, total=self._timeouts.active)
        except MeshRefused as refusal:
            return refusal.status != HTTPStatus.GONE
        return True

    async def standing(self, base: str, task_id: str, hop: str, actor: str) -> StandingAnswer:
        """GET /mesh/{id}/hops/{hop}. Raises MeshRefused, as by a mesh that has no such route."""
        path = f"/mesh/{_quoted(task_id)}/hops/{_quoted(hop)}?actor={_quoted(actor)}"
        return StandingAnswer.model_validate(await self._until_taken(base, path, None, task_id, by_mesh=False))

    async def _until_taken(
        self, base: str, path: str, body: Mapping[str, Any] | None, task_id: str, *, by_mesh: bool = True
    ) -> dict[str, Any]:
        """Repeat a request (a GET if it has no body) until it is accepted. `by_mesh`: answers that mesh would never
        give are ignored."""
        data = None if body is None else jsontext.dumps(body).encode()
        method = "GET" if data is None else "POST"
        pause, tries = FIRST_PAUSE, 0
        while True:
            try:
                text = await self._once(method, base + path, data, total=self._timeouts.total)
            except (MeshUnavailable, MeshRefused) as error:
                if isinstance(error, MeshRefused) and not (by_mesh and error.elsewhere):
                    raise
                tries += 1
                REPORT_RETRIES.inc()
                level = logging.WARNING if tries in (1, 5) or tries % 50 == 0 else logging.DEBUG
                log.log(level, "mesh does not accept %s of %s now (%s), trying again", path, task_id, error)
                wait = max(getattr(error, "retry_after", 0.0), pause * random.uniform(0.5, 1.0))  # noqa: S311 # not a secret
                await asyncio.sleep(wait)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                return _object(text)

    async def _once(self, method: str, url: str, data: bytes | None, *, total: float) -> bytes:
        session = self._open()
        timeout = aiohttp.ClientTimeout(total=total, connect=min(total, self._timeouts.connect))
        headers = {"Accept": "application/json", **carried()}
        if data is not None:
            headers["Content-Type"] = "application/json"
        try:
            # Redirects are not followed, because they would bypass the check of the gateway's origin.
            async with session.request(
                method, url, data=_streamed(data), headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
            # UnicodeError: a host's name that cannot be looked up, such as one with a label of 64 characters.
            raise MeshUnavailable(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        status = response.status
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return text
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in LATER:
            wait = _retry_after(response.headers.get("Retry-After", ""))
            raise MeshUnavailable(f"HTTP {status}: {_reason(text)}", wait)
        raise MeshRefused(status, _reason(text))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
            )
        return self._session


def _streamed(data: bytes | None) -> bytes | io.BytesIO | None:
    """A large body is written in pieces, so that it does not block the event loop."""
    return io.BytesIO(data) if data is not None and len(data) > STREAMED_BYTES else data


def _quoted(task_id: str) -> str:
    return quote(task_id, safe="")


def _retry_after(text: str) -> float:
    return min(float(text), LONGEST_RETRY_AFTER) if text.isascii() and text.isdigit() else 0.0


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = jsontext.loads(text, max_depth=3 * jsontext.MAX_DEPTH)
    except jsontext.InvalidJSON:
        return {}  # another gateway implementation may answer without a body
    return value if isinstance(value, dict) else {}


def _reason(text: bytes) -> str:
    error = _object(text).get("error")
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        field = f"{error['field']}: " if isinstance(error.get("field"), str) else ""
        return f"{field}{error['message']}"[:500]
    return text.decode(errors="replace").strip()[:500]


def offer_in(answer: Mapping[str, Any]) -> BatchLimits | None:
    """The offer in mesh's answer to `received`; None if there is none that can be understood."""
    found = answer.get("batch")
    if not isinstance(found, Mapping):
        return None
    rows, size = _positive(found.get("rows")), _positive(found.get("bytes"))
    return None if rows is None or size is None else BatchLimits(rows, size)


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

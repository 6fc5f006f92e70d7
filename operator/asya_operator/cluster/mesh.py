"""The mesh Service of the gateway over HTTP (docs/protocols/registry.md)."""

from collections.abc import Sequence
from typing import Any, TypeVar

import aiohttp

from asya_crds import jsontext
from asya_crds.message import InvalidMessage, WireMessage, read
from asya_crds.registry_document import Entry, ResourcesPart
from asya_crds.registry_messages import (
    AnnounceAnswer,
    AnnounceMessage,
    HeartbeatMessage,
    KeptFlow,
    PushAnswer,
    RegistryAnswer,
)
from asya_operator.domain.errors import OutsideError, RequestRefused, Superseded, Unreachable
from asya_operator.domain.programming import MeshState, Pod, PushResult
from asya_operator.domain.registry import RegistryDocument

M = TypeVar("M", bound=WireMessage)
TIMEOUT = 15.0
JSON = {"Content-Type": "application/json"}
SERVING = ("api", "testing")
"""Modes of pods that callers reach. Pods in mode mesh serve no flows."""


class RegistryClient:
    """Implements domain/ports.Mesh."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._texts = Texts()

    async def announce(self, holder: str) -> int:
        answer = await self._ask("POST", "/mesh/registry/epoch", AnnounceMessage.saying(leader=holder).as_dict())
        return _read(AnnounceAnswer, answer).epoch

    async def push(self, epoch: int, document: RegistryDocument) -> PushResult:
        answer = await self._ask("POST", "/mesh/config-reload", self._texts.push(epoch, document))
        said = _read(PushAnswer, answer)
        return PushResult(said.generation, _kept(said.kept), tuple(said.problems))

    async def heartbeat(self, epoch: int) -> None:
        await self._ask("POST", "/mesh/registry/heartbeat", HeartbeatMessage.saying(epoch=epoch).as_dict())

    async def state(self, generation: int | None, wait: float) -> MeshState:
        query = f"?wait={wait:g}" + ("" if generation is None else f"&generation={generation}")
        answer = await self._ask("GET", f"/mesh/registry{query}", timeout=wait + TIMEOUT)
        said = _read(RegistryAnswer, answer)
        pods = [Pod(pod.name, pod.generation) for pod in said.pods if pod.mode in SERVING]
        return MeshState(said.generation, tuple(sorted(pods, key=lambda pod: pod.name)))

    async def close(self) -> None:
        """Close the HTTP session."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, body: Any = None, *, timeout: float = TIMEOUT) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"Accept": "application/json"})
        try:
            async with self._session.request(
                method,
                self._url + path,
                data=_encode(body),
                headers=JSON,
                timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=5),
            ) as response:
                text = await response.text()
                if response.status < 300:
                    return jsontext.loads(text) if text.strip() else None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unreachable(f"mesh at {self._url} does not respond: {str(error) or type(error).__name__}") from error
        raise _error(response.status, text, f"{method} {path}")


class Texts:
    """The JSON of a push. Only new entries are encoded, because usually one of a thousand changes at a time."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Entry, str]] = {}

    def push(self, epoch: int, document: RegistryDocument) -> str:
        """The body of POST /mesh/config-reload (a RegistryPush)."""
        before, self._known = self._known, {}
        parts = {"configmap": document.configmap, "resources": document.resources}
        texts = [f'"{name}":{self._part(part, before)}' for name, part in parts.items()]
        return f'{{"epoch":{epoch},{",".join(texts)}}}'

    def _part(self, part: ResourcesPart, before: dict[int, tuple[Entry, str]]) -> str:
        # If there is no ConfigMap, its `hash` is sent as null.
        rest = jsontext.dumps(part.model_dump(mode="json", exclude={"flows"}))
        entries = ",".join(self._entry(entry, before) for entry in part.flows)
        return f'{{"flows":[{entries}],{rest[1:]}'

    def _entry(self, entry: Entry, before: dict[int, tuple[Entry, str]]) -> str:
        known = before.get(id(entry))
        if known is None or known[0] is not entry:
            known = (entry, jsontext.dumps(entry.model_dump(mode="json", exclude_none=True)))
        self._known[id(entry)] = known
        return known[1]


def _encode(body: Any) -> bytes | None:
    if body is None:
        return None
    return (body if isinstance(body, str) else jsontext.dumps(body)).encode()


def _error(status: int, text: str, what: str) -> OutsideError | Superseded:
    said = f"mesh responded to {what} with {status}: {text.strip()[:500]}"
    if status == 409:
        return Superseded(said)
    return RequestRefused(said) if 400 <= status < 500 and status not in (404, 408, 425, 429) else Unreachable(said)


def _kept(flows: Sequence[KeptFlow]) -> dict[str, tuple[str, ...]]:
    """The names of kept flows by source."""
    found = sorted((flow.source, flow.name) for flow in flows)
    return {source: tuple(name for each, name in found if each == source) for source in dict(found)}


def _read(model: type[M], answer: Any) -> M:
    """The message of an answer. Raises Unreachable: a server that answers otherwise is not mesh, or not a working
    one."""
    try:
        return read(model, answer)
    except InvalidMessage as error:
        raise Unreachable(f"mesh responded without a valid {error.field or 'body'}: {error}") from None

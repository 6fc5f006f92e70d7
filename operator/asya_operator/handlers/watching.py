"""Watches the kinds with kopf, in a separate thread, and passes each event on unchanged.

It is a thread because kopf cancels every task of its loop when it ends, and because it must be restarted when a kind
appears or vanishes, while pushes and lease renewal continue. Kopf only delivers events: nothing is written to watched
objects, there are no finalizers, and lists find what a disconnected watch missed (reconcilers/sources.py).
"""

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import kopf

from asya_crds.naming import ACTOR_LABEL, FLOWS_CONFIGMAP
from asya_operator.domain.ports import WatchedKind
from asya_operator.domain.views import Body
from asya_operator.handlers.session import session

log = logging.getLogger(__name__)
Listener = Callable[[WatchedKind, str | None, Body], None]
Login = Callable[[], kopf.ConnectionInfo]
GROUPS = {
    WatchedKind.CONFIGMAPS: ("", "v1"),
    WatchedKind.FLOWS: ("asya.sh", "v1alpha1"),
    WatchedKind.ACTORS: ("asya.sh", "v1alpha1"),
    WatchedKind.DEPLOYMENTS: ("apps", "v1"),
    WatchedKind.SCALED_OBJECTS: ("keda.sh", "v1alpha1"),
}


class EndlessBackoffs:
    """Endless retry delays. Kopf ends the operator when its retries of a denied request are used up."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.5, 1, 2, 3, 5, 8, 13), itertools.repeat(20.0))


class KopfWatches:
    """Kopf's watches on one namespace. Events arrive on the event loop that created this object."""

    def __init__(
        self, namespace: str, identity: str, login: Login, listener: Listener, kinds: Collection[WatchedKind]
    ) -> None:
        self._namespace, self._login, self._listener = namespace, login, listener
        # Kopf would build an identity from the user's name, but in a container the user id may have none.
        self._identity: Any = identity
        self._kinds = kinds
        self._loop = asyncio.get_running_loop()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._ended = False

    def start(self) -> None:
        """Start watching."""
        self._thread = threading.Thread(target=self._keep_running, name="kopf", daemon=True)
        self._thread.start()

    def restart(self) -> None:
        """Start again with the kinds that exist now."""
        if self._stop is not None:
            self._stop.set()

    def close(self) -> None:
        """Stop the watches. The thread ends soon after."""
        self._ended = True
        self.restart()

    def _keep_running(self) -> None:
        while not self._ended:
            self._stop = threading.Event()
            try:
                kopf.run(
                    registry=self._registry(),
                    settings=self._settings(),
                    namespaces=[self._namespace],
                    identity=self._identity,
                    standalone=True,
                    stop_flag=self._stop,
                    loop=asyncio.new_event_loop(),
                )
            except Exception:
                log.exception("the watches ended; starting them again")
            if not self._ended:
                time.sleep(1.0)

    def _settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.networking.error_backoffs = EndlessBackoffs()
        settings.networking.connect_timeout = 5.0
        settings.networking.request_timeout = 30.0
        settings.watching.reconnect_backoff = 0.1
        settings.watching.server_timeout = 600
        settings.watching.field_selectors["", "v1", "configmaps"] = f"metadata.name={FLOWS_CONFIGMAP}"
        settings.watching.label_selectors["apps", "v1", "deployments"] = ACTOR_LABEL
        settings.watching.label_selectors["keda.sh", "v1alpha1", "scaledobjects"] = ACTOR_LABEL
        return settings

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        # One session for each token: a refused credential must be recognised as the same, or kopf would retry it
        # endlessly.
        sessions: dict[str | None, kopf.AiohttpSession] = {}

        @kopf.on.login(registry=registry, id="login", errors=kopf.ErrorsMode.PERMANENT)
        async def login(**_: Any) -> kopf.AiohttpSession:
            info = self._login()
            if info.token not in sessions:
                made = session(token=info.token, ssl=info.as_ssl_context())
                sessions[info.token] = kopf.AiohttpSession(server=info.server, aiohttp_session=made)
            return sessions[info.token]

        for kind in self._kinds:
            self._watch_kind(registry, *GROUPS[kind], kind)
        return registry

    def _watch_kind(self, registry: kopf.OperatorRegistry, group: str, version: str, kind: WatchedKind) -> None:
        @kopf.on.event(group, version, kind.value, registry=registry, id=f"watch-{kind.value}")
        async def told(event: Mapping[str, Any], **_: Any) -> None:
            self._loop.call_soon_threadsafe(self._listener, kind, event["type"], event["object"])

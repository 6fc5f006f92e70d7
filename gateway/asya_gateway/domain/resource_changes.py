"""Changes of the resources that flows offer: actors announce them by a live event, and subscribers of any pod hear of
them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from asya_crds import jsontext
from asya_crds.large_json import has_few_values
from asya_crds.uri_template import check_uri
from asya_gateway.domain.task import FlyEvent

MEMBER = "resource_updated"
"""A live event `{"resource_updated": uri}`, or with a list of URIs, announces that these have changed."""
MOST_URIS = 100
"""URIs of one event."""
_SIGN = f'"{MEMBER}"'


class ResourceChanges(Protocol):
    """Where changes are announced and heard of."""

    async def announce(self, uris: Sequence[str]) -> None:
        """Tell all pods that these have changed; returns after the commit. Raises Unavailable."""

    def watch(self, uris: Iterable[str], changed: Callable[[str], None]) -> Callable[[], None]:
        """Call `changed` with each of these URIs after it was announced; the returned function ends that. Several
        changes that come together may be told as one."""


class NoResourceChanges:
    """For a process without subscribers and a database."""

    async def announce(self, uris: Sequence[str]) -> None:
        """Nobody hears of it."""

    def watch(self, uris: Iterable[str], changed: Callable[[str], None]) -> Callable[[], None]:
        """Nothing changes."""
        return lambda: None


def announced(events: Sequence[FlyEvent]) -> list[str]:
    """The URIs that these events announce, in a fixed order. What is no URI is passed over: live events have no other
    reader that could be told."""
    found: set[str] = set()
    for event in events:
        # Live events are many, and only this one is decoded. One that announces so few URIs has few values.
        if _SIGN in event.payload and has_few_values(event.payload):
            found.update(_uris(event.payload))
    return sorted(found)


def _uris(payload: str) -> list[str]:
    try:
        value: Any = jsontext.loads(payload, max_depth=2 * jsontext.MAX_DEPTH)
    except jsontext.InvalidJSON:
        return []
    said = value.get(MEMBER) if isinstance(value, dict) else None
    listed = said if isinstance(said, list) else [said]
    return [uri for uri in listed[:MOST_URIS] if isinstance(uri, str) and _is_uri(uri)]


def _is_uri(text: str) -> bool:
    try:
        check_uri(text)
    except ValueError:
        return False
    return True

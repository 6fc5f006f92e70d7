"""What callers are offered over MCP: tools, prompts, resources and templates of resources, from any number of sources.

Flows are the first source. Each source tells what it offers as a whole (offers.py); the catalog merges them, pages
through them in a fixed order, shows each caller what it may see, and knows whose lists a change touches."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import is_
from types import MappingProxyType
from typing import Any, Generic

from asya_gateway.domain.errors import FlowNotFound
from asya_gateway.domain.identity.principals import ANONYMOUS, Caller, Principal
from asya_gateway.domain.offers import (
    KINDS,
    TEMPLATES,
    Offer,
    OfferKind,
    Offers,
    OfferType,
    ResourceOffer,
    Source,
    TaskOffer,
)
from asya_gateway.domain.text import printable

_NAMED, _LOOKED_AT = 20, 1000
"""Names that an error lists, and offers among which they are looked for."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of everything that an endpoint shows: a set, some names, both, or neither. It gives no right."""

    set: str | None = None
    names: frozenset[str] | None = None


EVERYTHING = Selection()


class Listing(Generic[OfferType]):
    """The offers of one kind at one time, ordered by key."""

    def __init__(self, offers: Mapping[str, OfferType] = MappingProxyType({})) -> None:
        self.keys = sorted(offers)
        self.offers = {key: offers[key] for key in self.keys}
        self._heads: dict[str, list[OfferType]] = {}
        for offer in self.offers.values():
            if offer.template is not None:
                self._heads.setdefault(offer.template.literals[0], []).append(offer)
        self._lengths = sorted({len(head) for head in self._heads}, reverse=True)

    def in_order(self, keys: Iterable[str]) -> Iterable[OfferType]:
        """The offers of these keys, all of which it has."""
        return map(self.offers.__getitem__, keys)

    def matching(self, uri: str) -> Iterable[tuple[OfferType, dict[str, str]]]:
        """The templates that expand to this URI, with their values: longer beginnings first, then in order."""
        for length in self._lengths:
            for offer in self._heads.get(uri[:length], ()):
                values = offer.template.match(uri) if offer.template is not None else None
                if values is not None:
                    yield offer, values


class Change:
    """How one kind's listing has changed: each changed offer as it was and as it is."""

    def __init__(self, before: Listing[Any], now: Listing[Any]) -> None:
        gone = [(was, None) for key, was in before.offers.items() if key not in now.offers]
        others = ((before.offers.get(key), offer) for key, offer in now.offers.items())
        self._pairs: list[tuple[Offer | None, Offer | None]] = [
            *gone,
            *((was, offer) for was, offer in others if was is not offer and _differ(was, offer)),
        ]
        self._touched: dict[Any, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def touches(self, caller: Caller, selection: Selection = EVERYTHING) -> bool:
        """Whether it changes the list that this caller sees at an endpoint. Answered once for all callers with the same
        rights, since a change may be large and watchers many."""
        known_as = (_rights_of(caller), selection)
        found = self._touched.get(known_as)
        if found is None:
            found = any(_changes(was, now, caller, selection) for was, now in self._pairs)
            self._touched[known_as] = found
        return found


_NOTHING = Listing[Any]()
NO_CHANGE = Change(_NOTHING, _NOTHING)


def _rights_of(caller: Caller) -> Any:
    """What decides what a caller sees: those with the same see the same."""
    return (caller.rights if isinstance(caller, Principal) else None, caller is ANONYMOUS)


def _differ(was: Offer | None, now: Offer | None) -> bool:
    if was is None or now is None:
        return True
    return not (was.sets == now.sets and now.shows_like(was))


def _changes(was: Offer | None, now: Offer | None, caller: Caller, selection: Selection) -> bool:
    before, after = shows(was, caller, selection), shows(now, caller, selection)
    if before != after:
        return True
    return after and was is not None and now is not None and not now.shows_like(was)


def shows(offer: Offer | None, caller: Caller, selection: Selection) -> bool:
    """Whether a caller sees this at an endpoint."""
    return offer is not None and (offer.everywhere or _selected(offer, selection)) and offer.seen_by(caller)


def _selected(offer: Offer, selection: Selection) -> bool:
    in_set = selection.set is None or selection.set in offer.sets
    return in_set and (selection.names is None or offer.name in selection.names)


def _members_of(listings: Iterable[Listing[Any]]) -> dict[str, list[Offer]]:
    """The offers in each tool set."""
    found: dict[str, list[Offer]] = {}
    for listing in listings:
        for offer in listing.offers.values():
            for name in offer.sets:
                found.setdefault(name, []).append(offer)
    return found


class Catalog:
    """The offers of every source. Of several with one key, that of the first source counts. It is rebuilt as a whole
    when a source changes, so that a reader never sees half a change."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._listings: dict[OfferKind[Any], Listing[Any]] = {kind: Listing() for kind in KINDS}
        self._watchers: list[Callable[[], None]] = []
        self.numbers = dict.fromkeys(KINDS, 1)
        """The number of each current list. Watchers compare it, because lists may be long and watchers many."""
        self.last_changes = dict.fromkeys(KINDS, NO_CHANGE)
        self._members: dict[str, list[Offer]] = {}
        self._rebuild()
        for source in sources:
            source.watch(self._rebuild)

    def _rebuild(self) -> None:
        merged = Offers()
        for source in reversed(self._sources):
            merged.add_all(source.offers())
        for kind in KINDS:
            before, offers = self._listings[kind], merged.of(kind)
            same = offers.keys() == before.offers.keys() and all(map(is_, offers.values(), before.in_order(offers)))
            now = before if same else Listing(offers)
            self._listings[kind] = now
            self.last_changes[kind] = NO_CHANGE if same else Change(before, now)
            self.numbers[kind] += bool(self.last_changes[kind])
        self._members = _members_of(self._listings.values())
        for watcher in tuple(self._watchers):
            watcher()

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after each change; the returned function ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def page(
        self,
        kind: OfferKind[OfferType],
        after: str,
        most: int,
        most_size: int,
        caller: Caller,
        selection: Selection = EVERYTHING,
    ) -> tuple[list[OfferType], bool]:
        """The first offers with a key above `after`, and whether there are more: up to `most` with up to `most_size`
        characters together, but at least one."""
        listing: Listing[OfferType] = self._listings[kind]
        found: list[OfferType] = []
        size = 0
        for key in islice(listing.keys, bisect_right(listing.keys, after) if after else 0, None):
            offer = listing.offers[key]
            if not shows(offer, caller, selection):
                continue
            size += offer.size
            if found and (len(found) == most or size > most_size):
                return found, True
            found.append(offer)
        return found, False

    def find(
        self, kind: OfferKind[OfferType], key: str, caller: Caller, selection: Selection = EVERYTHING
    ) -> OfferType | None:
        """The offer of this key, if the caller sees it there."""
        offer: OfferType | None = self._listings[kind].offers.get(key)
        return offer if shows(offer, caller, selection) else None

    def to_use(
        self, kind: OfferKind[OfferType], key: str, caller: Caller, selection: Selection = EVERYTHING
    ) -> OfferType:
        """The offer of this key, to be used. Raises FlowNotFound, also for one that this caller may not see or that is
        not shown there, and Denied for one that it may not use."""
        offer = self.find(kind, key, caller, selection)
        if offer is None:
            word = kind.value.removesuffix("s")
            available = self._some(kind, caller, selection)
            raise FlowNotFound(f"Unknown {word}: {printable(key)}", field="name", available=available)
        offer.check_use(caller)
        return offer

    def matching(
        self, uri: str, caller: Caller, selection: Selection = EVERYTHING
    ) -> tuple[ResourceOffer | TaskOffer, dict[str, str]] | None:
        """The template that this caller sees and that expands to the URI, with its values; None without one."""
        candidates: Iterable[tuple[ResourceOffer | TaskOffer, dict[str, str]]] = self._listings[TEMPLATES].matching(uri)
        return next((found for found in candidates if shows(found[0], caller, selection)), None)

    def shows_alike(self, kind: OfferKind[Any], one: Caller, other: Caller, selection: Selection = EVERYTHING) -> bool:
        """Whether both see the same list. Every open stream asks this when any rights have changed, mostly others'."""
        if _rights_of(one) == _rights_of(other):
            return True
        offers = self._listings[kind].offers.values()
        return all(shows(offer, one, selection) is shows(offer, other, selection) for offer in offers)

    def unknown(self, caller: Caller, selection: Selection) -> list[str]:
        """The names that an endpoint selects and of which the caller sees nothing: those that do not exist, offer
        nothing or are hidden from it alike."""
        names = selection.names or frozenset()
        if not names:
            return []
        offers = (offer for listing in self._listings.values() for offer in listing.offers.values())
        return sorted(names - {offer.name for offer in offers if offer.name in names and offer.seen_by(caller)})

    def has_set(self, name: str, caller: Caller) -> bool:
        """Whether a tool set exists for this caller."""
        if any(name in source.sets() for source in self._sources):
            return True
        return any(offer.seen_by(caller) for offer in self._members.get(name, ()))

    def _some(self, kind: OfferKind[Any], caller: Caller, selection: Selection) -> list[str]:
        """Keys of which an error names some. A wrong name must not cost a walk through thousands."""
        candidates = islice(self._listings[kind].offers.values(), _LOOKED_AT)
        return list(islice((each.key for each in candidates if shows(each, caller, selection)), _NAMED))

"""The cards that are served, made once for each generation of the registry."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import format_datetime

from aiohttp.web import AppKey

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_gateway.domain.flows import FlowRegistry, FlowTable
from asya_gateway.domain.identity.access import sees
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.protocols.a2a.cards import Json, card, card_text, etag
from asya_gateway.protocols.a2a.signing import CardSigner
from asya_gateway.settings import Settings

MOST_SKILLS = 2_000
MOST_KEPT = 64
"""Most cards that are kept, because each skill has one."""
ANYWHERE = "https://anywhere.invalid"
"""Stands for the agent's address in a card that is made for every address by which it is called."""
MOST_KEYS = 3
"""Most public keys that are served: that of the present signatures, and those before it."""
KEY_SET = "/a2a/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class ReadyCard:
    """A card as it is sent. The tag is made of the content without signatures, which differ on each pod, and of
    the key that signs."""

    body: bytes
    tag: str
    changed: str | None
    """When the registry's generation was made, as an HTTP date."""

    def at(self, base_url: str) -> "ReadyCard":
        """A card that was made for ANYWHERE, with this address."""
        body = self.body.replace(ANYWHERE.encode(), jsontext.dumps(base_url)[1:-1].encode())
        return ReadyCard(body, etag(self.tag + base_url), self.changed)


@dataclass(frozen=True, slots=True)
class CardName:
    """Which card: where its agent is, in which form, and of which flow ("" for all)."""

    base_url: str
    pure: bool
    skill: str = ""


class Cards:
    """Makes cards and keeps the public ones."""

    def __init__(self, flows: FlowRegistry, settings: Settings, signer: CardSigner | None) -> None:
        self._flows, self._settings, self._signer = flows, settings, signer
        self._keys: list[Json] = [] if signer is None else [signer.public_key]
        self._made_of: FlowTable | None = None
        self._kept: OrderedDict[CardName, ReadyCard | None] = OrderedDict()

    @property
    def key_set(self) -> Json | None:
        """The public keys with which cards are verified, the present one first (RFC 7517); None if cards are not
        signed. Those before it are there for cards that somebody keeps."""
        return {"keys": self._keys} if self._keys else None

    def sign_with(self, signer: CardSigner) -> None:
        """From now on sign with this key."""
        self._signer = signer
        # A key that is called as the present one could not be told from it.
        older = [key for key in self._keys if key["kid"] != signer.key_id]
        self._keys = [signer.public_key, *older][:MOST_KEYS]
        self._kept.clear()

    def base_url(self, origin: str) -> str:
        """Where the agent is; `origin` is what the client called."""
        return (self._public_url or origin).rstrip("/")

    @property
    def _public_url(self) -> str:
        return self._settings.a2a_public_url or self._settings.public_url

    def public(self, name: CardName) -> ReadyCard | None:
        """The card that everybody may read: every skill without scopes of its own. None without a skill.

        Without a configured URL the address is what the client called, and strangers name as many as they like: the
        card is made once, and the address is put into its text."""
        if self._public_url:
            return self._public(name)
        ready = self._public(replace(name, base_url=ANYWHERE))
        return None if ready is None else ready.at(name.base_url)

    def _public(self, name: CardName) -> ReadyCard | None:
        table = self._flows.table
        if table is not self._made_of:
            self._kept.clear()
            self._made_of = table
        if name not in self._kept:
            self._kept[name] = self._ready(table, name)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name]

    def _ready(self, table: FlowTable, name: CardName) -> ReadyCard | None:
        exposed = [served.flow for served in table.flows.values() if served.flow.a2a is not None]
        if name.skill:
            exposed = [flow for flow in exposed if flow.name == name.skill and not flow.scopes]
        if not exposed:
            return None
        open_to_all = [flow for flow in exposed if not flow.scopes][:MOST_SKILLS]
        document = self._made(open_to_all, name, signs_in=not open_to_all)
        tag = etag(card_text(document))
        if self._signer is not None:
            # Whoever has the card with the signature of another key is to get it anew.
            tag = f"W/{etag(card_text(document) + self._signer.thumbprint)}"
            document = self._signed(document, open_to_all, name, signs_in=not open_to_all)
        changed = None if table.changed_at is None else format_datetime(table.changed_at, usegmt=True)
        return ReadyCard(card_text(document).encode(), tag, changed)

    def extended(self, caller: Caller, name: CardName) -> Json | None:
        """The card with what the caller may see. It is not kept, because each caller has another one. None for a flow
        that the caller does not see."""
        flows = [
            served.flow
            for served in self._flows.table.flows.values()
            if served.flow.a2a is not None and name.skill in ("", served.flow.name) and sees(caller, served.flow)
        ][:MOST_SKILLS]
        if name.skill and not flows:
            return None
        document = self._made(flows, name, signs_in=False)
        return document if self._signer is None else self._signed(document, flows, name, signs_in=False)

    def _made(self, flows: Sequence[Flow], name: CardName, *, signs_in: bool) -> Json:
        return card(self._settings, flows, signs_in=signs_in, base_url=name.base_url, pure=name.pure, skill=name.skill)

    def _signed(self, document: Json, flows: Sequence[Flow], name: CardName, *, signs_in: bool) -> Json:
        assert self._signer is not None  # the caller has looked
        pure = self._made(flows, CardName(name.base_url, True, name.skill), signs_in=signs_in)
        return self._signer.signed(document, pure, name.base_url + KEY_SET)


CARDS: AppKey[Cards] = AppKey("CARDS")

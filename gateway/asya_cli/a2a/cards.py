"""Finds an agent's card, and the interface in it that we speak."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from asya_cli.errors import CliError

Json = dict[str, Any]

WELL_KNOWN = (".well-known/agent-card.json", ".well-known/agent.json")


@dataclass(frozen=True, slots=True)
class Interface:
    """Where an agent is spoken to: `binding` is JSONRPC or HTTP+JSON, `version` 1.0 or 0.3."""

    url: str
    binding: str
    version: str
    tenant: str = ""

    @property
    def older(self) -> bool:
        """Whether it speaks 0.3."""
        return self.version.startswith("0")


SPOKEN = (("JSONRPC", "1"), ("HTTP+JSON", "1"), ("JSONRPC", "0.3"))
"""What we speak, the best first: binding and beginning of the version."""


def card_urls(url: str) -> list[str]:
    """Where the card of the agent at `url` may be: there if it names a file, below it, or at its host's root."""
    if urlsplit(url).path.endswith(".json"):
        return [url]
    base = url.rstrip("/") + "/"
    root = urlunsplit((*urlsplit(url)[:2], "/", "", ""))
    return list(dict.fromkeys(start + path for start in (base, root) for path in WELL_KNOWN))


def interfaces_of(card: Mapping[str, Any]) -> Iterator[Interface]:
    """The interfaces of a card of 1.0 or 0.3. What is not of their form is left out."""
    listed = card.get("supportedInterfaces")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and isinstance(each.get("url"), str):
            yield Interface(
                each["url"],
                str(each.get("protocolBinding")),
                str(each.get("protocolVersion")),
                str(each.get("tenant") or ""),
            )
    version = str(card.get("protocolVersion") or "0.3")
    if not listed and isinstance(card.get("url"), str):
        yield Interface(card["url"], str(card.get("preferredTransport") or "JSONRPC"), version)
    more = card.get("additionalInterfaces")
    for each in more if isinstance(more, list) and not listed else ():
        if isinstance(each, dict) and isinstance(each.get("url"), str):
            yield Interface(each["url"], str(each.get("transport")), version)


def interfaces_to_try(card: Mapping[str, Any]) -> list[Interface]:
    """The interfaces of a card that we speak, the best first. Raises CliError if there is none."""
    found = [each for each in interfaces_of(card) if urlsplit(each.url).scheme in ("http", "https")]
    spoken = [
        each
        for binding, version in SPOKEN
        for each in found
        if each.binding == binding and each.version.startswith(version)
    ]
    if not spoken:
        offered = ", ".join(f"{each.binding} {each.version}" for each in interfaces_of(card)) or "none"
        raise CliError(f"expected an agent that speaks JSON-RPC 1.0 or 0.3, or HTTP+JSON 1.0; its card lists {offered}")
    return spoken


def streams(card: Mapping[str, Any]) -> bool:
    """Whether the agent says that it streams."""
    capabilities = card.get("capabilities")
    return isinstance(capabilities, dict) and capabilities.get("streaming") is True


def declares(card: Mapping[str, Any], extension: str) -> bool:
    """Whether the card has this extension."""
    capabilities = card.get("capabilities")
    listed = capabilities.get("extensions") if isinstance(capabilities, dict) else None
    return any(isinstance(each, dict) and each.get("uri") == extension for each in listed or ())

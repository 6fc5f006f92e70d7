"""The optional members of content blocks and of contents of resources, and what their texts must be.

Flows return these, and a client's SDK drops a whole result for one member of the wrong type. Nothing of HTTP is
imported, because the other process renders results of many values.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from asya_crds.mcp_offers import is_moment
from asya_crds.uri_template import is_uri

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_WHITE = b"\t\n\f\r "


def is_base64(text: str) -> bool:
    """Whether `atob` takes it, with which clients check (WHATWG Infra, "forgiving-base64 decode"): white space may be
    anywhere, and padding may be left out."""
    if not text.isascii():
        return False
    compact = text.encode().translate(None, _WHITE)
    padding = compact.translate(None, _ALPHABET)
    if not padding:
        return len(compact) % 4 != 1
    return padding in (b"=", b"==") and compact.endswith(padding) and len(compact) % 4 == 0


def cleaned(value: Any) -> Any:
    """A block or content without members that do not have their types: null, which serializers write for absent ones,
    or a mistake in a hint, for which nobody should lose what it is about. A `uri` that is none is left out, too:
    contents of a resource have another one, and a block without it is none."""
    if not isinstance(value, dict):
        return value
    kept = {name: item for name, item in value.items() if name not in _CHECKS or _CHECKS[name](item)}
    if isinstance(hints := value.get("annotations"), Mapping):
        known = {name: item for name, item in hints.items() if _are_annotations({name: item})}
        kept |= {"annotations": known}
    return {**kept, "resource": cleaned(kept["resource"])} if "resource" in kept else kept


def fit(value: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether those of these optional members that are there have their types."""
    return all(_CHECKS[name](value[name]) for name in names if name in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_uri(value: Any) -> bool:
    return isinstance(value, str) and is_uri(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_annotations(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    audience, priority = value.get("audience", []), value.get("priority", 0)
    modified = value.get("lastModified", "2026-07-28T00:00:00Z")
    return (
        isinstance(audience, list)
        and all(each in ("user", "assistant") for each in audience)
        and _is_number(priority)
        and 0 <= priority <= 1
        and (isinstance(modified, str) and is_moment(modified))
    )


def _are_icons(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(icon, Mapping)
        and _is_uri(icon.get("src"))
        and _is_text(icon.get("mimeType", ""))
        and isinstance(sizes := icon.get("sizes", []), list)
        and all(map(_is_text, sizes))
        and icon.get("theme", "light") in ("light", "dark")
        for icon in value
    )


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "_meta": lambda value: isinstance(value, Mapping),
    "annotations": _are_annotations,
    "title": _is_text,
    "description": _is_text,
    "mimeType": _is_text,
    "size": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "icons": _are_icons,
    "uri": _is_uri,
}
OF_BLOCK = ("_meta", "annotations")
OF_LINK = (*OF_BLOCK, "uri", "title", "description", "mimeType", "size", "icons")
OF_CONTENTS = ("_meta", "uri", "mimeType")

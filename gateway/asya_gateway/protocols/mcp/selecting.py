"""Tool sets: `/mcp/{set}` and `/mcp?flows=a,b` show a part of the catalog, because clients limit how many tools they
take.

They are no authorization: a caller sees nothing there that it would not see at `/mcp`, and may use at `/mcp` what it
may use at all."""

from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web

from asya_crds.naming import check_flow_name
from asya_gateway.domain.catalog import EVERYTHING, Catalog, Selection
from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.text import printable
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.jsonrpc import INVALID_REQUEST
from asya_gateway.protocols.http.keys import CATALOG
from asya_gateway.protocols.mcp.errors import HttpRefusal, InvalidParams

PARAMETER = "flows"
SET = "set"
"""The part of the path."""
MOST_NAMES = 100
MOST_NAMED = 10
"""Names that a text lists."""


def selection_of(http: web.Request) -> Selection:
    """The part of the catalog that the URL shows. Raises HttpRefusal: 404 for a set that does not exist for the caller,
    400 for wrong names."""
    name = http.match_info.get(SET)
    if name is None and not http.query_string:
        return EVERYTHING
    if name is not None and not http.app[CATALOG].has_set(name, caller_of(http)):
        raise HttpRefusal(HTTPStatus.NOT_FOUND, f"Unknown tool set: {printable(name)}", INVALID_REQUEST)
    return Selection(name, _names(http))


def unknown_names(catalog: Catalog, caller: Caller, selection: Selection) -> list[str]:
    """The names in the URL of which this caller sees nothing; it is told of them. Raises InvalidParams if there are no
    others, since an endpoint that shows nothing is a slip."""
    unknown = catalog.unknown(caller, selection)
    if unknown and len(unknown) == len(selection.names or ()):
        raise InvalidParams(f"{PARAMETER}: the URL names only flows that offer nothing here: {_named(unknown)}")
    return unknown


def note_of(unknown: Sequence[str]) -> str:
    """What instructions say of such names; empty without any."""
    return f" The URL of this server names flows that offer nothing here: {_named(unknown)}." if unknown else ""


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _names(http: web.Request) -> frozenset[str] | None:
    values = http.query.getall(PARAMETER, None)
    if values is None:
        return None
    names = [name for value in values for name in value.split(",")]
    if len(names) > MOST_NAMES:
        raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"{PARAMETER}: expected at most {MOST_NAMES} names")
    try:
        return frozenset(map(check_flow_name, names))
    except ValueError:
        raise HttpRefusal(
            HTTPStatus.BAD_REQUEST, f"{PARAMETER}: expected names of flows, with commas between"
        ) from None

"""Tool sets: `/mcp/{set}` and `/mcp?flows=a,b` show a part of the catalog, because clients limit how many tools they
take.

They are no authorization: a caller sees nothing there that it would not see at `/mcp`, and may use at `/mcp` what it
may use at all."""

from http import HTTPStatus

from aiohttp import web

from asya_crds.naming import check_flow_name
from asya_gateway.domain.catalog import EVERYTHING, Selection
from asya_gateway.domain.text import printable
from asya_gateway.protocols.http.callers import caller_of
from asya_gateway.protocols.http.jsonrpc import INVALID_REQUEST
from asya_gateway.protocols.http.keys import CATALOG
from asya_gateway.protocols.mcp.errors import HttpRefusal

PARAMETER = "flows"
SET = "set"
"""The part of the path."""
MOST_NAMES = 100


def selection_of(http: web.Request) -> Selection:
    """The part of the catalog that the URL shows. Raises HttpRefusal: 404 for a set that does not exist for the caller,
    400 for wrong names."""
    name = http.match_info.get(SET)
    if name is None and not http.query_string:
        return EVERYTHING
    if name is not None and not http.app[CATALOG].has_set(name, caller_of(http)):
        raise HttpRefusal(HTTPStatus.NOT_FOUND, f"Unknown tool set: {printable(name)}", INVALID_REQUEST)
    return Selection(name, _names(http))


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

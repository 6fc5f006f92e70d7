"""The description and the routes agree."""

import re

import pytest
from aiohttp import web

from asya_crds.naming import WORDS_FOR_IDS
from asya_gateway.composition.program import Gateway
from asya_gateway.domain.errors import InvalidInput
from asya_gateway.protocols.http.openapi import HEALTH_PATHS, merged, routed
from asya_gateway.protocols.mesh.children import decode_child
from asya_gateway.protocols.mesh.openapi import PATHS as MESH_PATHS
from asya_gateway.protocols.rest.openapi import PATHS as REST_PATHS
from tests.support.gateway import make_settings

PATHS = {"api": REST_PATHS, "mesh": MESH_PATHS, "testing": merged(REST_PATHS, MESH_PATHS)}
OF_PROTOCOLS = ("/mcp", "/a2a", "/.well-known/agent")
"""How routes of protocols begin that describe themselves."""
UNDESCRIBED = {"HEAD", "*"}
"""HEAD goes with GET; `*` answers 405 to whatever has no route of its own."""
METHODS = {"get", "post", "put", "delete", "patch"}


def _application(mode: str) -> web.Application:
    return Gateway(make_settings(gateway_mode=mode, database_url="postgresql://127.0.0.1:1/nowhere")).web()


@pytest.mark.parametrize("mode", PATHS)
async def test_every_route_is_described_and_every_description_is_a_route(mode: str) -> None:
    application = _application(mode)
    routes = {
        (re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.resource.canonical), route.method.lower())
        for route in application.router.routes()
        if route.resource is not None
        and route.method not in UNDESCRIBED
        and not route.resource.canonical.startswith(OF_PROTOCOLS)
    }
    described = {
        (path, method)
        for path, item in routed(application, merged(HEALTH_PATHS, PATHS[mode])).items()
        for method in item
        if method in METHODS
    }
    assert routes == described


def test_every_description_is_of_a_route_of_the_whole_program() -> None:
    described = merged(HEALTH_PATHS, PATHS["testing"])
    assert routed(_application("testing"), described) == described


def test_operations_have_names_of_their_own() -> None:
    items = merged(HEALTH_PATHS, PATHS["testing"]).values()
    names = [operation["operationId"] for item in items for method, operation in item.items() if method in METHODS]
    assert len(names) == len(set(names))


def test_words_in_the_place_of_a_tasks_id_are_refused_as_ids() -> None:
    routes = [
        resource.canonical.split("/") for resource in _application("testing").router.resources() if resource.canonical
    ]
    named = {tuple("{id}" if part.startswith("{id") else part for part in route) for route in routes}
    words = {
        part
        for route in routes
        for place, part in enumerate(route)
        if part and not part.startswith("{") and (*route[:place], "{id}", *route[place + 1 :]) in named
    }
    assert words == set(WORDS_FOR_IDS)


@pytest.mark.parametrize("word", WORDS_FOR_IDS)
@pytest.mark.parametrize("alias", ["", "resume-", "resume.2-"])
def test_no_child_is_called_like_a_route(word: str, alias: str) -> None:
    with pytest.raises(InvalidInput, match="expected another id") as raised:
        decode_child({"id": alias + word, "parent_id": "p", "curr": "a"})
    assert raised.value.field == "id"

"""The description and the routes agree."""

import re

import pytest
from aiohttp import web

from asya_gateway.composition.program import Gateway
from asya_gateway.protocols.http.openapi import HEALTH_PATHS, merged, routed
from asya_gateway.protocols.mesh.openapi import PATHS as MESH_PATHS
from asya_gateway.protocols.rest.openapi import PATHS as REST_PATHS
from tests.support.gateway import make_settings

PATHS = {"api": REST_PATHS, "mesh": MESH_PATHS, "testing": merged(REST_PATHS, MESH_PATHS)}
MCP = "/mcp"
"""JSON-RPC describes itself."""
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
        if route.resource is not None and route.method not in UNDESCRIBED and route.resource.canonical != MCP
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

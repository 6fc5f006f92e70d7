"""The description and the routes agree."""

import re

import pytest
from aiohttp import web

from asya_gateway.app import build_app
from asya_gateway.domain.tasks import TaskRules, Tasks
from asya_gateway.protocols.http.openapi import HEALTH_PATHS, merged
from asya_gateway.protocols.mesh.openapi import PATHS as MESH_PATHS
from asya_gateway.protocols.rest.openapi import PATHS as REST_PATHS
from tests.support.gateway import compile_schema, make_flows, make_settings
from tests.support.storage import make_storage

PATHS = {"api": REST_PATHS, "mesh": MESH_PATHS, "testing": merged(REST_PATHS, MESH_PATHS)}
MCP = "/mcp"
"""JSON-RPC describes itself."""
METHODS = {"get", "post", "put", "delete", "patch"}


def _application(mode: str) -> web.Application:
    storage = make_storage("postgresql://127.0.0.1:1/nowhere").storage
    tasks = Tasks(storage.tasks, storage.feed, storage.fly, TaskRules("http://mesh"), compile_schema)
    return build_app(make_settings(gateway_mode=mode), tasks, make_flows())


@pytest.mark.parametrize("mode", PATHS)
async def test_every_route_is_described_and_every_description_is_a_route(mode: str) -> None:
    routed = {
        (re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.resource.canonical), route.method.lower())
        for route in _application(mode).router.routes()
        if route.resource is not None and route.method != "HEAD" and route.resource.canonical != MCP
    }
    described = {
        (path, method)
        for path, item in merged(HEALTH_PATHS, PATHS[mode]).items()
        for method in item
        if method in METHODS
    }
    assert routed == described


def test_operations_have_names_of_their_own() -> None:
    items = merged(HEALTH_PATHS, PATHS["testing"]).values()
    names = [operation["operationId"] for item in items for method, operation in item.items() if method in METHODS]
    assert len(names) == len(set(names))

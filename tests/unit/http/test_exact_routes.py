"""The routes that are found by one lookup are those that aiohttp finds."""

import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import make_mocked_request
from aiohttp.typedefs import Handler
from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.composition.program import Gateway
from asya_gateway.protocols.http.exact_routes import ExactRoutes, exactly_routed
from tests.support.gateway import make_settings

MODES = ("api", "mesh", "testing")
ID = "0192f0c1-7c3a-7b1e-9d55-2f1b7c8a90ab"


def application(mode: str) -> web.Application:
    app = Gateway(make_settings(gateway_mode=mode, database_url="postgresql://127.0.0.1:1/nowhere")).web()
    app.freeze()
    return app


APPS = {mode: application(mode) for mode in MODES}
EXACT = {mode: ExactRoutes(app) for mode, app in APPS.items()}
WORDS = sorted({part for app in APPS.values() for each in app.router.resources() for part in each.canonical.split("/")})


@pytest.mark.parametrize("mode", MODES)
async def test_every_route_without_variables_is_found(mode: str) -> None:
    plain = [each for each in APPS[mode].router.routes() if isinstance(each.resource, web.PlainResource)]
    assert plain
    for route in plain:
        assert route.resource is not None
        found = EXACT[mode].find(route.method, route.resource.canonical)
        assert found is not None
        assert found[1] is route.handler


@pytest.mark.parametrize(
    ("mode", "method", "target"),
    [
        ("mesh", "POST", f"/mesh/{ID}/progress"),
        ("mesh", "POST", f"/tasks/{ID}/final"),
        ("mesh", "GET", f"/mesh/{ID}/active"),
        ("api", "POST", f"/tasks/{ID}/cancel"),
    ],
)
async def test_the_frequent_routes_with_an_id_are_found(mode: str, method: str, target: str) -> None:
    found = EXACT[mode].find(method, target)
    assert found is not None
    assert found[0] == {"id": ID}


@pytest.mark.parametrize(
    "target",
    [
        "/tools/call?a=b", "/tools%2Fcall", "/tools/call/", "//tools/call", "http://localhost/tools/call", "tools/call",
        f"/mesh/{ID}/progress/", f"/mesh/{ID}/progress?x", "/mesh//progress", "/mesh/./progress", "/mesh/%41/progress",
        "/mesh/ä/progress", "/mesh/a b/progress", f"/mesh/{ID}/progress/more", f"/x/mesh/{ID}/progress", "*", "",
    ],
)  # fmt: skip
async def test_any_other_target_is_left_to_aiohttp(target: str) -> None:
    assert EXACT["testing"].find("POST", target) is None


@given(
    mode=st.sampled_from(MODES),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "*"]),
    parts=st.lists(st.sampled_from([*WORDS, ID, "a", "-", ".", "..", "A1", "{id}"]), max_size=5),
)
async def test_what_is_found_is_what_aiohttp_finds(mode: str, method: str, parts: list[str]) -> None:
    target = "/" + "/".join(parts)
    found = EXACT[mode].find(method, target)
    if found is not None:
        request = make_mocked_request(method, target, app=APPS[mode])
        resolved = await APPS[mode].router.resolve(request)
        assert resolved.route is found[0].route
        assert resolved.handler is found[1]
        assert dict(resolved) == dict(found[0])


@pytest.mark.parametrize(
    ("target", "headers", "way"),
    [
        ("/tools/call", {}, "door"),
        ("/tools/call", {hdrs.EXPECT: "100-continue"}, "aiohttp"),
        ("/tools/call?a=b", {}, "aiohttp"),
    ],
)
async def test_a_client_that_waits_for_100_continue_is_left_to_aiohttp(
    target: str, headers: dict[str, str], way: str
) -> None:
    """RFC 9110, section 10.1.1: "A server that receives a 100-continue expectation [...] MUST send either [...]"."""
    app = APPS["api"]

    async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
        assert request.app is app
        assert request.match_info.handler is handler
        return web.Response(text="door")

    async def otherwise(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="aiohttp")

    answer = await exactly_routed(app, door, otherwise)(make_mocked_request("POST", target, headers, app=app))
    assert isinstance(answer, web.Response)
    assert answer.text == way

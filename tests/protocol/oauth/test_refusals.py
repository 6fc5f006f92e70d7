"""Bad requests: the error that the RFC names, in bounded time, and nothing stored."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.oauth import CALLBACK, ISSUER, Pkce, asked
from tests.support.oauth_server import OAuthServer, redemption

pytestmark = pytest.mark.asyncio(loop_scope="module")
MANY = [(f"p{number}", "x") for number in range(100)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client_id(standing: OAuthServer) -> str:
    return await standing.client_id()


@pytest_asyncio.fixture(loop_scope="module")
async def unchanged(standing: OAuthServer, client_id: str) -> AsyncIterator[OAuthServer]:
    """The server, which must store nothing."""
    before = await standing.stored()
    yield standing
    assert await standing.stored() == before


def without(parameters: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name not in names}


class TestAuthorize:
    @pytest.mark.parametrize(
        "changes",
        [
            {"client_id": ""},
            {"client_id": "asya_client_00000000000000000000000000000000"},
            {"client_id": "x" * 5000},
            {"client_id": "https://client.example/metadata.json"},
            {"redirect_uri": ""},
            {"redirect_uri": "https://evil.example/callback"},
            {"redirect_uri": f"{CALLBACK}/"},
            {"redirect_uri": f"{CALLBACK}?x"},
            {"redirect_uri": f"{CALLBACK}#x"},
            {"redirect_uri": "javascript:alert(1)"},
            {"redirect_uri": CALLBACK.replace("client.example", "client.example@evil.example")},
            {"redirect_uri": f"{CALLBACK}\r\nSet-Cookie: a=b"},
            {"redirect_uri": CALLBACK + "x" * 5000},
            {"state": "s" * 5000},
            {"state": "line\nbreak"},
            {"state": "ä"},
        ],
    )
    async def test_without_a_trusted_target_nobody_is_redirected(
        self, unchanged: OAuthServer, client_id: str, changes: dict[str, str]
    ) -> None:
        """RFC 6749, section 4.1.2.1: "the authorization server SHOULD inform the resource owner of the error and MUST
        NOT automatically redirect the user-agent to the invalid redirection URI"."""
        answer = await unchanged.get("/oauth/authorize", {**asked(client_id, Pkce()), **changes})
        assert answer.status == 400, answer.text
        assert "Location" not in answer.headers
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "evil" not in answer.text, "what a caller sent is not shown"

    @pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state"])
    async def test_a_repeated_one_of_them_is_no_target(self, unchanged: OAuthServer, client_id: str, name: str) -> None:
        parameters = {**asked(client_id, Pkce()), "state": "s"}
        pairs = [*parameters.items(), (name, parameters[name])]
        answer = await unchanged.get("/oauth/authorize", pairs)
        assert (answer.status, "Location" in answer.headers) == (400, False)

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"response_type": ""}, "invalid_request"),
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"response_type": "code token"}, "unsupported_response_type"),
            ({"response_mode": "fragment"}, "invalid_request"),
            ({"code_challenge": ""}, "invalid_request"),
            ({"code_challenge": "x"}, "invalid_request"),
            ({"code_challenge": "x" * 5000}, "invalid_request"),
            ({"code_challenge_method": ""}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge_method": "s256"}, "invalid_request"),
            ({"scope": 'mcp:"read'}, "invalid_scope"),
            ({"scope": "task:any:read"}, "invalid_scope"),
            ({"scope": "x" * 5000}, "invalid_scope"),
            ({"scope": "x " * 1000}, "invalid_scope"),
            ({"resource": "https://other.example/mcp"}, "invalid_target"),
            ({"resource": f"{ISSUER}/mcp#x"}, "invalid_target"),
            ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
            ({"request_uri": "https://evil.example"}, "request_uri_not_supported"),
        ],
    )
    async def test_other_errors_are_told_to_the_client(
        self, unchanged: OAuthServer, client_id: str, changes: dict[str, str], error: str
    ) -> None:
        """RFC 6749, section 4.1.2.1; RFC 9207, section 2: "the authorization response, including error responses"."""
        answer = await unchanged.get("/oauth/authorize", {**asked(client_id, Pkce()), "state": "s", **changes})
        told = answer.redirected
        assert answer.headers["Location"].startswith(f"{CALLBACK}?")
        assert told.keys() == {"error", "error_description", "state", "iss"}
        assert (told["error"], told["state"], told["iss"]) == (error, "s", ISSUER)

    @pytest.mark.parametrize(
        ("name", "error"),
        [("scope", "invalid_request"), ("code_challenge", "invalid_request"), ("resource", "invalid_target")],
    )
    async def test_a_repeated_parameter_is_an_error(
        self, unchanged: OAuthServer, client_id: str, name: str, error: str
    ) -> None:
        """RFC 6749, section 3.1: "Request and response parameters MUST NOT be included more than once"."""
        parameters = {**asked(client_id, Pkce()), "scope": "mcp:read", "resource": ISSUER}
        pairs = [*parameters.items(), (name, parameters[name])]
        assert (await unchanged.get("/oauth/authorize", pairs)).redirected["error"] == error

    async def test_the_plain_method_is_not_what_a_missing_one_means(
        self, unchanged: OAuthServer, client_id: str
    ) -> None:
        """RFC 7636, section 4.3: it "defaults to plain if not present in the request"."""
        parameters = without(asked(client_id, Pkce()), "code_challenge_method")
        assert (await unchanged.get("/oauth/authorize", parameters)).redirected["error"] == "invalid_request"

    @pytest.mark.parametrize("query", ["&".join(f"p{n}=x" for n in range(100)), "client_id=%ff", "%00=%00", "=&=&;"])
    async def test_a_query_that_is_none_is_refused(self, unchanged: OAuthServer, query: str) -> None:
        assert (await unchanged.get("/oauth/authorize", query)).status == 400

    @pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
    async def test_only_get_asks_for_a_code(self, unchanged: OAuthServer, client_id: str, method: str) -> None:
        """A prefetch with HEAD must not make a code."""
        url = unchanged.url + "/oauth/authorize"
        async with unchanged.session.request(method, url, params=asked(client_id, Pkce())) as response:
            assert response.status == 405


class TestToken:
    @pytest.mark.parametrize(
        ("form", "error"),
        [
            ({}, "invalid_request"),
            ({"grant_type": ""}, "invalid_request"),
            ({"grant_type": "password"}, "unsupported_grant_type"),
            ({"grant_type": "implicit"}, "unsupported_grant_type"),
            ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "unsupported_grant_type"),
            ({"grant_type": "authorization_code"}, "invalid_request"),
            ({"grant_type": "authorization_code", "code": "x", "redirect_uri": CALLBACK}, "invalid_request"),
            ({"grant_type": "authorization_code", "code": "x", "code_verifier": "v" * 43}, "invalid_request"),
            ({"grant_type": "refresh_token"}, "invalid_request"),
            ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
            ({"grant_type": "refresh_token", "refresh_token": "x" * 5000}, "invalid_grant"),
            ({"grant_type": "refresh_token", "refresh_token": "\x00"}, "invalid_grant"),
            ({"grant_type": "client_credentials"}, "unauthorized_client"),
        ],
    )
    async def test_a_form_with_a_mistake(
        self, unchanged: OAuthServer, client_id: str, form: dict[str, str], error: str
    ) -> None:
        """RFC 6749, section 5.2."""
        (await unchanged.token(client_id=client_id, **form)).refuses(error)

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"code": "asya_code_x"}, "invalid_grant"),
            ({"code": "x" * 5000}, "invalid_grant"),
            ({"code_verifier": "short"}, "invalid_grant"),
            ({"code_verifier": "v" * 43}, "invalid_grant"),
            ({"code_verifier": "v" * 5000}, "invalid_grant"),
            ({"redirect_uri": f"{CALLBACK}/other"}, "invalid_grant"),
            ({"redirect_uri": "\x00"}, "invalid_grant"),
            ({"redirect_uri": "ä"}, "invalid_grant"),
            ({"redirect_uri": "x" * 5000}, "invalid_grant"),
            ({"code": "\x00"}, "invalid_grant"),
            ({"resource": "\x00"}, "invalid_target"),
            ({"resource": "https://other.example"}, "invalid_target"),
        ],
    )
    async def test_a_code_with_other_things_than_it_was_made_for(
        self, standing: OAuthServer, client_id: str, changes: dict[str, str], error: str
    ) -> None:
        pkce = Pkce()
        code = (await standing.authorize(client_id, pkce)).redirected["code"]
        before = await standing.stored()
        (await standing.token(**{**redemption(client_id, code, pkce), **changes})).refuses(error)
        assert await standing.stored() == before

    @pytest.mark.parametrize("client", ["", "x", "asya_client_0", "x" * 5000, "\ud7ff\x00"])
    async def test_an_unknown_client(self, unchanged: OAuthServer, client: str) -> None:
        (await unchanged.token(grant_type="refresh_token", client_id=client, refresh_token="x")).refuses(
            "invalid_client", 401
        )

    @pytest.mark.parametrize(
        ("header", "error", "status"),
        [
            ("Basic !!!", "invalid_client", 401),
            ("Basic eA==", "invalid_client", 401),
            ("Basic Og==", "invalid_client", 401),
            ("Basic /w==", "invalid_client", 401),
            ("Basic \xe4", "invalid_client", 401),
            ("Basic AAA6AAA=", "invalid_request", 400),
            ("Basic", "invalid_client", 401),
            ("Bearer x", "invalid_client", 401),
            ("Digest x", "invalid_client", 401),
            ("Basic eDp5", "invalid_request", 400),
        ],
    )
    async def test_an_authorization_header_with_a_mistake(
        self, unchanged: OAuthServer, client_id: str, header: str, error: str, status: int
    ) -> None:
        form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": "x"}
        (await unchanged.post("/oauth/token", form, Authorization=header)).refuses(error, status)

    async def test_a_public_client_presents_no_secret(self, unchanged: OAuthServer, client_id: str) -> None:
        form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": "x", "client_secret": "x"}
        (await unchanged.post("/oauth/token", form)).refuses("invalid_client", 401)

    async def test_parameters_in_the_url_are_refused(self, unchanged: OAuthServer, client_id: str) -> None:
        """RFC 6749, section 2.3.1: "The parameters can only be transmitted in the request-body and MUST NOT be included
        in the request URI"."""
        for path in ("/oauth/token", "/oauth/revoke"):
            answer = await unchanged.post(f"{path}?client_id=x", {"grant_type": "refresh_token", "token": "x"})
            answer.refuses("invalid_request")

    @pytest.mark.parametrize("name", ["grant_type", "client_id", "refresh_token", "scope", "client_secret", "unknown"])
    async def test_a_repeated_parameter_is_an_error(self, unchanged: OAuthServer, client_id: str, name: str) -> None:
        """RFC 6749, section 3.2."""
        form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": "x", name: "x"}
        (await unchanged.post("/oauth/token", [*form.items(), (name, "x")])).refuses("invalid_request")

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b"{}", "application/json"),
            (b"grant_type=refresh_token", "text/plain"),
            (b"grant_type=refresh_token", "application/x-www-form-urlencoded; charset=utf-16"),
            (b"grant_type=\xff", "application/x-www-form-urlencoded"),
            (b"grant_type=%ff", "application/x-www-form-urlencoded"),
            (b"--x--", "multipart/form-data; boundary=x"),
            ("&".join(f"p{n}=x" for n in range(1000)).encode(), "application/x-www-form-urlencoded"),
        ],
    )
    async def test_a_body_that_is_no_form(self, unchanged: OAuthServer, body: bytes, content_type: str) -> None:
        for path in ("/oauth/token", "/oauth/revoke"):
            (await unchanged.send(path, body, content_type)).refuses("invalid_request")

    async def test_a_large_body_is_refused(self, unchanged: OAuthServer) -> None:
        body = b"x=" + b"y" * 100_000
        (await unchanged.send("/oauth/token", body, "application/x-www-form-urlencoded")).refuses(
            "invalid_request", 413
        )

    @given(st.dictionaries(st.text(max_size=12), st.text(max_size=40), max_size=6))
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    async def test_any_form_is_answered_by_an_error_of_the_rfc(
        self, unchanged: OAuthServer, form: dict[str, str]
    ) -> None:
        answer = await unchanged.post("/oauth/token", form)
        assert answer.status in (400, 401)


NAMES = st.sampled_from(
    ["grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource", "client_secret",
     "response_type", "code_challenge", "code_challenge_method", "state", "token", "prompt", "response_mode"]
)  # fmt: skip
GRANTS = st.sampled_from(["authorization_code", "refresh_token", "client_credentials"])
PARAMETERS = st.dictionaries(NAMES, GRANTS | st.text(max_size=40) | st.just("v" * 43) | st.just(CALLBACK), max_size=8)
FUZZ = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


class TestAnything:
    @given(GRANTS, PARAMETERS)
    @FUZZ
    async def test_a_known_client_sends_any_form(
        self, unchanged: OAuthServer, client_id: str, grant_type: str, form: dict[str, str]
    ) -> None:
        whole = {**form, "client_id": client_id, "grant_type": grant_type}
        assert (await unchanged.post("/oauth/token", whole)).status in (400, 401)
        revoked = await unchanged.post("/oauth/revoke", whole)
        assert revoked.status in (400, 401) or (revoked.status == 200 and form.get("token"))

    @given(PARAMETERS)
    @FUZZ
    async def test_a_known_client_asks_for_anything(
        self, unchanged: OAuthServer, client_id: str, parameters: dict[str, str]
    ) -> None:
        whole = {**parameters, "client_id": client_id, "code_challenge_method": "plain"}
        answer = await unchanged.get("/oauth/authorize", urlencode(whole, errors="replace"))
        assert answer.status == 400 or answer.redirected["error"]

    @given(
        st.dictionaries(
            st.sampled_from(["redirect_uris", "client_name", "scope", "grant_types", "response_types", "x"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=20),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                max_leaves=6,
            ),
            max_size=6,
        )
    )
    @FUZZ
    async def test_anything_registers_itself(self, unchanged: OAuthServer, document: dict[str, Any]) -> None:
        assert (await unchanged.register(document)).status == 400


class TestRegister:
    @pytest.mark.parametrize(
        ("document", "error"),
        [
            (b"", "invalid_client_metadata"),
            (b"{", "invalid_client_metadata"),
            (b"[]", "invalid_client_metadata"),
            (b"null", "invalid_client_metadata"),
            (b"\xff", "invalid_client_metadata"),
            (b"[" * 10_000, "invalid_client_metadata"),
            (b'{"a":' * 50 + b"1" + b"}" * 50, "invalid_client_metadata"),
            ({}, "invalid_redirect_uri"),
            ({"redirect_uris": []}, "invalid_redirect_uri"),
            ({"redirect_uris": "https://client.example"}, "invalid_redirect_uri"),
            ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
            ({"redirect_uris": ["http://client.example/cb"]}, "invalid_redirect_uri"),
            ({"redirect_uris": [CALLBACK, "https://evil.example/#x"]}, "invalid_redirect_uri"),
            ({"redirect_uris": [{"x": CALLBACK}]}, "invalid_redirect_uri"),
            ({"redirect_uris": [CALLBACK], "client_name": ["x"]}, "invalid_client_metadata"),
            ({"redirect_uris": [CALLBACK], "grant_types": ["password"]}, "invalid_client_metadata"),
            ({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "tls"}, "invalid_client_metadata"),
        ],
    )
    async def test_a_registration_with_a_mistake(self, unchanged: OAuthServer, document: Any, error: str) -> None:
        """RFC 7591, section 3.2.2."""
        (await unchanged.register(document)).refuses(error)

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "text/html"])
    async def test_a_page_of_another_origin_cannot_register_with_a_form(
        self, unchanged: OAuthServer, content_type: str
    ) -> None:
        answer = await unchanged.send("/oauth/register", b'{"redirect_uris":["https://a.example"]}', content_type)
        answer.refuses("invalid_client_metadata")

    async def test_a_large_registration_is_refused(self, unchanged: OAuthServer) -> None:
        answer = await unchanged.register({"redirect_uris": [CALLBACK], "x": "y" * 100_000})
        answer.refuses("invalid_request", 413)


class TestRevoke:
    async def test_a_request_without_token_or_client(self, unchanged: OAuthServer, client_id: str) -> None:
        """RFC 7009, section 2.1."""
        (await unchanged.post("/oauth/revoke", {"client_id": client_id})).refuses("invalid_request")
        (await unchanged.post("/oauth/revoke", {"token": "x"})).refuses("invalid_client", 401)
        (await unchanged.post("/oauth/revoke", {"token": "x", "client_id": "y"})).refuses("invalid_client", 401)

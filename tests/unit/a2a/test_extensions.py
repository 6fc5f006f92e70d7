"""Extensions are negotiated by header."""

import pytest
from aiohttp.test_utils import make_mocked_request

from asya_gateway.protocols.a2a.dialects.known import V0_3, V1_0, Dialect
from asya_gateway.protocols.a2a.errors import EXTENSION_REQUIRED, A2aError
from asya_gateway.protocols.a2a.extensions import SKILL, Extension, activated, extension_headers, requested
from tests.support.gateway import make_settings

OTHER = Extension("urn:other:v2", "Another one", required=True)


@pytest.mark.parametrize("header", ["A2A-Extensions", "X-A2A-Extensions", "a2a-extensions"])
def test_the_headers_of_both_versions_name_extensions_with_commas(header: str) -> None:
    """3.2.6, A2A-Extensions: 'Comma-separated list of extension URIs that the client wants to use for the request'."""
    http = make_mocked_request("POST", "/a2a/", headers={header: f" {SKILL.uri} ,, urn:x"})
    assert requested(http) == {SKILL.uri, "urn:x"}


def test_only_what_is_served_is_activated_and_no_other_version_of_it() -> None:
    """4.6.3: 'It MUST NOT fall back to a previous version of the extension automatically'."""
    assert activated(frozenset({SKILL.uri, "urn:unknown"}), [SKILL]) == [SKILL.uri]
    assert activated(frozenset({SKILL.uri.replace("v1", "v2"), SKILL.uri.removesuffix(":v1")}), [SKILL]) == []


def test_a_required_extension_that_the_client_does_not_name_is_an_error() -> None:
    """3.3.4: 'the agent MUST return ExtensionSupportRequiredError'."""
    assert activated(frozenset({OTHER.uri}), [SKILL, OTHER]) == [OTHER.uri]
    with pytest.raises(A2aError, match=OTHER.uri) as refused:
        activated(frozenset({SKILL.uri}), [SKILL, OTHER])
    assert refused.value.kind is EXTENSION_REQUIRED
    assert OTHER.declaration()["required"] is True


@pytest.mark.parametrize(("dialect", "header"), [(V1_0, "A2A-Extensions"), (V0_3, "X-A2A-Extensions")])
def test_active_extensions_are_echoed_in_the_header_of_the_dialect(dialect: Dialect, header: str) -> None:
    asking = make_mocked_request("POST", "/a2a/", headers={"A2A-Extensions": f"urn:unknown,{SKILL.uri}"})
    assert extension_headers(asking, make_settings(), dialect) == {header: SKILL.uri}
    assert extension_headers(make_mocked_request("POST", "/a2a/"), make_settings(), dialect) == {}

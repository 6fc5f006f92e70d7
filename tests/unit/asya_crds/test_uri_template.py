"""URI templates: which are accepted, and which URIs they match with which values (RFC 6570)."""

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asya_crds.uri_template import Template, check_uri, is_uri


@pytest.mark.parametrize(
    ("template", "uri", "values"),
    [
        ("test://template/{id}/data", "test://template/123/data", {"id": "123"}),
        ("test://template/{id}/data", "test://template//data", None),
        ("test://template/{id}/data", "test://template/1/2/data", None),
        ("test://template/{id}/data", "test://template/1/data/more", None),
        ("a://{x}", "a://b%20c", {"x": "b c"}),
        ("a://{x}", "a://b%2Fc", {"x": "b/c"}),
        ("a://{x}", "a://%ff", None),
        ("a://{x}", "a://b?c", None),
        ("a://{x}", "a://", None),
        ("a://{x}", "b://c", None),
        ("a://{x}-{y}", "a://1-2-3", {"x": "1", "y": "2-3"}),
        ("a://{+path}", "a://b/c?d#e", {"path": "b/c?d#e"}),
        ("a://{+path}/{name}.json", "a://b/c/d.json", {"path": "b/c", "name": "d"}),
        ("a://{host}/{+path}/{name}", "a://h/b/c/d", {"host": "h", "path": "b/c", "name": "d"}),
        ("a://{host}/{+path}/{name}", "a://h/d", None),
        ("a://x{y}x", "a://x", None),
        ("a://x{y}x", "a://xx", None),
    ],
)
def test_a_uri_has_the_values_that_expand_to_it(template: str, uri: str, values: dict[str, str] | None) -> None:
    """RFC 6570, sections 3.2.2 (simple string expansion) and 3.2.3 (reserved expansion)."""
    assert Template.of(template).match(uri) == values


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a://b", "at least one"),
        ("a://{x}{y}", "text between"),
        ("a://{+x}/{+y}", "at most once"),
        ("a://{x}/{x}", "each variable once"),
        ("a://{?x}", "of the form"),
        ("a://{x", "of the form"),
        ("{x}://b", "scheme"),
        ("no scheme/{x}", "absolute URI"),
        ("asya://tasks/{x}", "another scheme"),
        ("a://" + "/".join(f"{{v{n}}}" for n in range(17)), "at most 16"),
        ("a://" + "b" * 2048 + "{x}", "at most 2048"),
    ],
)
def test_a_template_that_cannot_be_matched_is_refused_with_the_reason(template: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Template.of(template)


@pytest.mark.parametrize("uri", ["docs", "docs:", "docs://a b", "docs://é", "ASYA://tasks/1", "a://" + "b" * 2048])
def test_a_resource_needs_an_absolute_uri_of_its_own(uri: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        check_uri(uri)


CHECKED = jsonschema_rs.validator_for({"type": "string", "format": "uri"}, validate_formats=True)
pieces = st.sampled_from(
    [*"a:/?#[]@!$&'()*+,;=%~._-1 é{}|^`<>\"\\\n", "//", "://", "%41", "%zz", "[::1]", ":80", "http:"]
)


@settings(max_examples=500)
@given(text=st.lists(pieces, max_size=12).map("".join))
@example("docs://handbook")
@example("http://[::1]:80/x?y#z")
@example("urn:isbn:1")
@example("a:////b")
def test_what_is_taken_for_a_uri_is_one_to_strict_clients(text: str) -> None:
    """Another implementation of RFC 3986 agrees, except that one needs something behind its scheme here."""
    expected = CHECKED.is_valid(text) and not text.endswith(":")
    assert is_uri(text) is (expected or (is_uri(text) and CHECKED.is_valid(text)))


def test_a_long_uri_is_matched_in_one_pass() -> None:
    template = Template.of("a://" + "a".join(f"{{v{n}}}" for n in range(16)) + "b")
    assert template.match("a://" + "a" * 2040) is None

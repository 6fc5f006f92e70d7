"""The table from the domain's errors to HTTP."""

import pytest
from aiohttp.test_utils import make_mocked_request

import asya_gateway.protocols.http.errors as http_errors
from asya_crds import jsontext
from asya_crds.violation import Violation
from asya_gateway.domain.errors import (
    FlowNotFound,
    GatewayError,
    InvalidArguments,
    InvalidInput,
    TaskNotFound,
    Unavailable,
)


def _tree(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _tree(child))]


@pytest.mark.parametrize("kind", _tree(GatewayError)[1:], ids=lambda kind: kind.__name__)
def test_every_domain_error_has_its_own_row(kind: type[GatewayError]) -> None:
    assert kind in http_errors.STATUS_OF


def test_no_row_blames_the_gateway_itself() -> None:
    """Infrastructure errors are 503 and not 500, since a request can succeed when it is repeated."""
    assert 500 not in {int(status) for status in http_errors.STATUS_OF.values()}


def test_errors_are_plain_text_by_default() -> None:
    """Errors that are no JSON are plain text (Method not allowed, Task not found)."""
    response = http_errors.error_response(make_mocked_request("GET", "/tasks/x"), TaskNotFound("x"))
    assert (response.status, response.content_type) == (404, "text/plain")
    assert response.text == "Task not found: x"


@pytest.mark.parametrize("header", ["Accept", "Content-Type"])
def test_a_caller_that_speaks_json_gets_json(header: str) -> None:
    request = make_mocked_request("POST", "/tools/call", headers={header: "application/json"})
    response = http_errors.error_response(request, FlowNotFound("Unknown tool: x", field="name"))
    assert response.content_type == "application/json"
    assert jsontext.loads(response.text or "") == {
        "error": {"code": "flow_not_found", "message": "Unknown tool: x", "field": "name"}
    }


def test_violations_of_the_input_schema_are_listed_with_their_paths() -> None:
    error = InvalidArguments([Violation("/text", "expected a string"), Violation("", "text is required")])
    listed = http_errors.error_dict(error)["violations"]
    assert listed == [
        {"path": "/text", "message": "expected a string"},
        {"path": "", "message": "text is required"},
    ]


def test_an_unavailable_gateway_says_when_to_come_back() -> None:
    response = http_errors.error_response(make_mocked_request("GET", "/tasks"), Unavailable("no database"))
    assert (response.status, response.headers["Retry-After"]) == (503, "1")


def test_a_message_that_quotes_a_lone_surrogate_still_leaves() -> None:
    response = http_errors.error_response(make_mocked_request("GET", "/"), InvalidInput("got \ud800", field="name"))
    assert response.status == 400
    assert isinstance(response.body, bytes)

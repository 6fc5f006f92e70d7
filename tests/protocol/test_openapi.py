"""schemathesis, which was not written here, holds the real application against its own description."""

from pathlib import Path

import pytest

from tests.support.gateway import start_gateway
from tests.support.schemathesis import complaints

CONFIG = """
[[operations]]
# 'Response 410 Gone: { "active": false }' is an answer, not a refusal.
include-name = "GET /mesh/{id}/active"
checks.positive_data_acceptance.expected-statuses = ["2xx", 410]

[[operations]]
# A cursor is opaque: no schema can tell one that was given out from one that was made up.
include-name = ["GET /tasks", "GET /flows"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400]

# No schema of a body can tell that the path's id is too long for the answer to a pause. What a body may be is held
# against the decoder in tests/unit/http/test_progress_description.py.
[[operations]]
include-name = ["POST /mesh/{id}/progress", "POST /tasks/{id}/progress"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400]

# No schema can tell a key that was used for another request.
[[operations]]
include-name = ["POST /tools/call", "POST /tasks/{id}/cancel", "POST /tasks/{id}/resume", "POST /tasks/{id}/retry"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 404, 409, 422]

# Handlers and descriptions are those of the newer words, whose every case is sent (the test below).
[[operations]]
include-name-regex = "^POST /tasks/[{]id[}]/(progress|final|partial|upstream)$"
phases.coverage.enabled = false
"""
OLDER_WORDS = {
    "/tasks/{id}/progress": "/mesh/{id}/progress",
    "/tasks/{id}/final": "/mesh/{id}/final",
    "/tasks/{id}/partial": "/mesh/{id}/fly",
    "/tasks/{id}/upstream": "/mesh/{id}/fly",
}


@pytest.mark.timeout(600)
async def test_the_application_keeps_what_it_describes(database_url: str, tmp_path: Path) -> None:
    """No 5xx, statuses, content types, headers and bodies as described, bad data refused, good data accepted,
    and other methods answered with 405 and Allow (schemathesis' default checks)."""
    # Tasks that nobody works on end soon, so that their streams do.
    async with start_gateway(database_url, default_timeout=0.2) as gateway:
        said = await complaints(gateway.url, tmp_path, CONFIG)
    assert not said, said


async def test_the_older_words_of_the_mesh_are_the_newer_ones(database_url: str) -> None:
    async with start_gateway(database_url) as gateway:
        _, description = await gateway.get("/openapi.json")
        handlers = {(r.method, r.resource.canonical): r.handler for r in gateway.app.router.routes() if r.resource}
        for older, newer in OLDER_WORDS.items():
            said = [description["paths"][path] for path in (older, newer)]
            said = [{**path, "post": path["post"] | {"operationId": ""}} for path in said]
            assert said[0] == said[1], older
            assert handlers["POST", older] == handlers["POST", newer], older
            for method in ("GET", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"):
                url = gateway.url + older.replace("{id}", "some-id")
                async with gateway.session.request(method, url) as response:
                    assert (response.status, response.headers["Allow"]) == (405, "OPTIONS, POST"), (method, older)

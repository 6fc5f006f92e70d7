"""Whatever the description of a progress report takes, mesh's decoder takes."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from asya_crds.naming import PAUSE, RESUME
from asya_crds.status import HopState
from asya_gateway.protocols.http.openapi import SCHEMAS
from asya_gateway.protocols.mesh.openapi import PATHS
from asya_gateway.protocols.mesh.progress import decode_progress

BODY = PATHS["/mesh/{id}/progress"]["post"]["requestBody"]["content"]["application/json"]["schema"]
DESCRIBED = Draft202012Validator({**BODY, "components": {"schemas": SCHEMAS}})

NAMES = st.none() | st.lists(st.sampled_from(["a", PAUSE, RESUME, "", ".", 5]), max_size=2)
JUNK: st.SearchStrategy[Any] = st.sampled_from([None, 0, "", "x", [], {}, {"a": 1}])
FIELDS = st.lists(st.fixed_dictionaries({}, optional={"name": JUNK, "type": JUNK | st.just("string"), "options": JUNK}))
QUESTION = st.fixed_dictionaries(
    {}, optional={"prompt": JUNK, "fields": FIELDS | JUNK, "schema": JUNK, "data": JUNK, "pause_id": JUNK}
)
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "status": st.sampled_from([*HopState, "paused", "auth_required", "resting", None, 7]),
    "prev": NAMES,
    "curr": st.sampled_from(["a", RESUME, "", None, 5, "\n"]),
    "next": NAMES,
    "pause_metadata": QUESTION | JUNK,
    "pause_id": JUNK,
    "checkpoint": JUNK | st.just({"id": "t", "route": {"curr": "a"}, "payload": {"a": 1}}),
    "frames": JUNK | st.just([{}]),
    "claim": JUNK | st.just({"hop": 1, "attempt": 1, "claimant": "c"}),
    "message": JUNK,
    "incarnation": JUNK,
}


@given(body=st.fixed_dictionaries({}, optional=OPTIONAL))
@settings(max_examples=600)
def test_every_described_report_is_taken(body: dict[str, Any]) -> None:
    if DESCRIBED.is_valid(body):
        decode_progress("task", body)

"""What an actor's result becomes: parts that it has returned, or data, with the reason if it meant parts."""

import json
from typing import Any

import pytest

from asya_crds.naming import A2A_NOT_PARTS
from asya_gateway.protocols.a2a.dialects import v1_0
from asya_gateway.protocols.a2a.large_contents import live_parts
from asya_gateway.protocols.a2a.model import Part, PartKind
from asya_gateway.protocols.a2a.outputs import result_artifact
from asya_gateway.protocols.a2a.writing import json_text
from tests.support.a2a import conforms

OF_0_3 = {"kind": "file", "file": {"uri": "https://files.example/a"}}
ONE_OF = "expected exactly one of text, raw, url, data"


def made(result: Any) -> Any:
    """The artifact of a result, as it is sent."""
    artifact = json.loads(json_text(v1_0.artifact(result_artifact(json.dumps(result)))))
    conforms(artifact, "Artifact")
    return artifact


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([OF_0_3], f"parts[0]: {ONE_OF}"),
        ([{"text": "a"}, {"text": "b", "url": "https://files.example/b"}], f"parts[1]: {ONE_OF}"),
        ([{"text": "a"}, 7], "parts[1]: expected an object"),
        ([{"raw": "%%"}], "parts[0].raw: expected base64"),
        ([{"text": "a", "mediaType": 7}], "parts[0].mediaType: expected a string"),
    ],
    ids=["0.3", "two kinds", "number", "base64", "media type"],
)
def test_parts_that_are_wrong_are_data_and_the_artifact_says_why(parts: Any, reason: str) -> None:
    result = {"parts": parts, "name": "files"}
    artifact = made(result)
    assert artifact["parts"] == [{"data": result}]
    assert artifact["metadata"] == {A2A_NOT_PARTS: reason}
    # Also if the actor sends on what it got.
    assert made({**result, "a2a": {"task": {}}}) == artifact


@pytest.mark.parametrize(
    "result",
    [
        {"parts": [{"sku": 7, "name": "wheel"}], "name": "bike"},
        {"parts": ["wheel", "saddle"]},
        {"parts": []},
        {"parts": "two"},
        {"parts": [{"text": "a"}, {}], "price": 3},
    ],
)
def test_other_lists_that_are_called_parts_are_ordinary_data(result: Any) -> None:
    assert made(result) == {"artifactId": "result", "parts": [{"data": result}]}


def test_live_parts_that_are_wrong_are_data_instead_of_nothing() -> None:
    event = {"artifact_update": {"artifact": {"parts": [OF_0_3]}}}
    assert live_parts(json.dumps(event)) == (Part(PartKind.DATA, event),)
    right = {"artifact_update": {"artifact": {"parts": [{"text": "a"}]}}}
    assert live_parts(json.dumps(right)) == (Part(PartKind.TEXT, "a"),)
    assert live_parts('{"message":{"parts":[]}}') == ()

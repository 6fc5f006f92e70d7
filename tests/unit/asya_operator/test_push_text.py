"""What is sent to mesh reads back as the document, and entries that did not change are not encoded again."""

import json
from typing import Any

from asya_crds.registry_document import RegistryPush
from asya_operator.cluster.mesh import Texts
from asya_operator.domain.memo import Memo
from asya_operator.domain.registry import Inputs, compute


def flow(name: str, generation: int = 1, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", "uid": f"uid-{name}", "generation": generation}
    return {"metadata": metadata, "spec": {"entrypoint": "a", "mcp": {}, **spec}}


def test_the_text_reads_back_as_the_document_it_was_made_of() -> None:
    data = {
        "flows.yaml": "flows:\n- {name: one, entrypoint: a, description: 'ü \\ud800'}\n- {name: bad, entrypoint: NO}\n"
    }
    for configmap in (None, {}, data):
        document = compute(Inputs(configmap, [flow("two", a2a={}), flow("broken", entrypoint="NO")], None)).document
        read = RegistryPush.model_validate(json.loads(Texts().push(7, document)))
        assert (read.epoch, read.configmap, read.resources) == (7, document.configmap, document.resources)


def test_a_change_of_one_flow_encodes_that_one_alone() -> None:
    memo, texts = Memo(), Texts()
    bodies = [flow(f"flow-{number}") for number in range(5)]
    before = compute(Inputs(None, bodies, None), memo.readers).document
    texts.push(1, before)
    bodies[2] = flow("flow-2", generation=2, description="changed")
    after = compute(Inputs(None, bodies, None), memo.readers).document
    assert "changed" in texts.push(1, after)
    same = [mine is theirs for mine, theirs in zip(before.resources.flows, after.resources.flows, strict=True)]
    assert same == [True, True, False, True, True]

"""What makes two requests the same one."""

from typing import Any

import pytest
from typing_extensions import override

from asya_crds import jsontext
from asya_crds.large_json import FEW_VALUES
from asya_crds.offloading import Offload
from asya_gateway.composition.examining import Digesting
from asya_gateway.domain.idempotency import digest_of, is_key, own_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": {"c": [1, 2], "d": null}}', '{"b":{"d":null,"c":[1,2]},"a":1}'),
        ('{"t": "\\u00e9\\ud83d\\ude00"}', '{"t": "é😀"}'),
        ('{"n": 1e2}', '{"n": 100.0}'),
        ("[123456789012345678901234567890]", "[ 123456789012345678901234567890 ]"),
        ('"\\ud800"', '"\\uD800"'),
    ],
)
def test_equal_values_have_one_digest(one: str, other: str) -> None:
    assert digest_of(jsontext.loads(one)) == digest_of(jsontext.loads(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [([1, 2], [2, 1]), ({"a": 1}, {"a": "1"}), ({}, []), (None, False), (["a", "b"], ["ab"]), (1, 1.0)],
)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    assert digest_of(one) != digest_of(other)


class Recorded(Offload):
    """Notes what the other process was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    @override
    async def run(self, function: str, *arguments: Any) -> Any:
        self.asked.append(function)
        return await super().run(function, *arguments)


async def test_many_values_are_digested_in_another_process_and_alike() -> None:
    value = [*range(FEW_VALUES), "\ud800", 1e300, {"b": 1, "a": None}]
    offload = Recorded()
    try:
        assert await Digesting(offload)("call", [1]) == digest_of("call", [1])
        assert offload.asked == []
        assert await Digesting(offload)("call", "flow", value) == digest_of("call", "flow", value)
        assert offload.asked == ["asya_gateway.domain.idempotency:digest_of"]
    finally:
        await offload.close()


def test_our_own_keys_cannot_be_used_by_callers() -> None:
    assert is_key("!" + "~" * 254)
    for text in (own_key(), "", "a" * 256, "é", "a\tb"):
        assert not is_key(text)

"""What is computed once for an object is kept no longer than the object."""

import gc
import weakref
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_gateway.domain.beside import KeptBeside
from asya_gateway.domain.calls import Call, TaskRules
from asya_gateway.domain.clock import own_time
from asya_gateway.domain.flow_offers import FlowOffer
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.domain.fresh import blank
from asya_gateway.domain.identity.faults import Denied
from asya_gateway.domain.identity.principals import Principal, Via
from asya_gateway.domain.identity.scopes import COMMON_SCOPES, rights_of
from asya_gateway.domain.ports import NewTask, TaskStore, UpdateFeed, examined_here
from asya_gateway.domain.submitting import Submitting
from asya_gateway.protocols.http.policies import REST_CALL, REST_READ, check_policy
from asya_gateway.protocols.mcp import calling
from asya_gateway.telemetry.observer import SILENT


class Thing:
    """Anything that can be referred to weakly."""


def of_caller(scopes: frozenset[str] = COMMON_SCOPES, **claims: Any) -> Principal:
    return Principal("jwt:corp:42", rights_of(scopes), Via.JWT, claims)


def served() -> ServedFlow:
    return ServedFlow(Flow(name="work", entrypoint="first", mcp={}), lambda _payload: ())


def is_kept(reference: "weakref.ref[Any]") -> bool:
    gc.collect()
    return reference() is not None


def test_a_value_is_made_once_and_kept_as_long_as_its_object() -> None:
    made: list[int] = []

    def make(_thing: Thing) -> int:
        made.append(len(made))
        return made[-1]

    beside, one, other = KeptBeside(make), Thing(), Thing()
    assert [beside(one), beside(other), beside(one)] == [0, 1, 0]
    reference = weakref.ref(one)
    del one
    assert not is_kept(reference)
    assert (len(beside), beside(other)) == (1, 1)


def test_what_could_not_be_made_is_made_at_the_next_call() -> None:
    thing, problems = Thing(), [ValueError("not now")]

    def make(_thing: Thing) -> str:
        if problems:
            raise problems.pop()
        return "made"

    beside = KeptBeside(make)
    with pytest.raises(ValueError, match="not now"):
        beside(thing)
    assert beside(thing) == "made"


class Stored:
    """The part of a TaskStore that takes plain calls."""

    def __init__(self) -> None:
        self.envelopes: list[str] = []

    async def create(self, new: NewTask, left: object = None) -> datetime:
        self.envelopes.append(new.envelope)
        return datetime.now(UTC)


async def test_a_call_does_not_keep_its_caller_with_all_that_its_token_claims() -> None:
    async def digest(*_parts: Any) -> bytes:
        return b""

    stored = Stored()
    rules = TaskRules("http://mesh", caller_claims=frozenset({"team"}))
    submitting = Submitting(
        cast("TaskStore", stored), rules, examined_here, digest, SILENT, own_time, cast("UpdateFeed", None)
    )
    caller, flow = of_caller(team="red", large="x" * 100_000), served()
    for _ in range(2):
        await submitting.accept(Call(flow, {}, caller, "rest"))
    headers = [jsontext.loads(text)["headers"]["x-asya-caller"] for text in stored.envelopes]
    assert headers == [{"id": "jwt:corp:42", "claims": {"team": "red"}}] * 2
    reference = weakref.ref(caller)
    del caller
    assert not is_kept(reference)


def test_whoever_was_let_in_once_is_not_kept_for_it() -> None:
    caller = of_caller(large="x" * 100_000)
    for policy in (REST_READ, REST_CALL, REST_READ):
        check_policy(caller, policy, "/tools")
    stranger = of_caller(frozenset({"flow:other:read"}))
    for _ in range(2):
        check_policy(stranger, REST_READ, "/tools")
    nobody = of_caller(frozenset())
    for _ in range(2):
        with pytest.raises(Denied):
            check_policy(nobody, REST_READ, "/tools")
    reference = weakref.ref(caller)
    del caller
    assert not is_kept(reference)


def test_a_flow_that_is_no_longer_served_is_not_kept_with_its_schemas() -> None:
    flow = served()
    assert flow.flow.mcp is not None
    offer = FlowOffer("work", flow, flow.flow.mcp)
    assert blank(flow, "http://mesh") is blank(flow, "http://mesh")
    assert blank(flow, "http://other") is not blank(flow, "http://mesh")
    assert list(calling.param_headers_of(offer)) == []
    references = [weakref.ref(each) for each in (flow, offer)]
    del flow, offer
    assert [is_kept(each) for each in references] == [False, False]

"""What scopes give."""

import pytest

from asya_crds.flow import Flow
from asya_gateway.domain.identity.access import check_invoke, needed_for_own, reaches_others, readable, sees
from asya_gateway.domain.identity.faults import Denied
from asya_gateway.domain.identity.principals import ANONYMOUS, OPEN, Caller, Principal, Via
from asya_gateway.domain.identity.scopes import (
    LONGEST_SCOPE,
    MOST_SCOPES,
    TaskVerb,
    expected_form,
    is_known,
    is_scope,
    rights_of,
    split_scopes,
)


def holder(*scopes: str) -> Principal:
    return Principal("key:k", rights_of(frozenset(scopes)), Via.KEY)


def flow(name: str = "echo", *scopes: str) -> Flow:
    return Flow(name=name, entrypoint="echo", scopes=list(scopes))


def can_invoke(caller: Caller, called: Flow) -> bool:
    try:
        check_invoke(caller, called)
    except Denied:
        return False
    return True


@pytest.mark.parametrize(
    ("scopes", "seen", "invoked"),
    [
        ((), False, False),
        (("mcp:read",), True, False),
        (("mcp:invoke",), True, True),
        (("flow:*:read",), True, False),
        (("flow:*:invoke",), True, True),
        (("flow:echo:read",), True, False),
        (("flow:echo:invoke",), True, True),
        (("flow:echo:*",), True, True),
        (("flow:*:*",), True, True),
        (("flow:other:*", "flow:ec*:invoke", "flow:**:invoke", "*"), False, False),
        (("flow:other:invoke",), False, False),
        (("flow:echo:write", "flow::invoke", "flow:echo", "flow:echo:invoke:x", "mcp:admin"), False, False),
        (("task:any:read", "task:echo:cancel"), False, False),
    ],
)
def test_invoke_includes_read_and_a_star_stands_for_every_flow(
    scopes: tuple[str, ...], seen: bool, invoked: bool
) -> None:
    assert sees(holder(*scopes), flow()) is seen
    assert can_invoke(holder(*scopes), flow()) is invoked
    assert ("echo" in readable(holder(*scopes))) is seen


def test_a_flows_own_scopes_are_required_of_its_callers_and_named_together_with_the_others_they_need() -> None:
    secret = flow("payroll", "finance", "hr")
    assert can_invoke(holder("mcp:invoke", "finance", "hr"), secret)
    with pytest.raises(Denied) as caught:
        check_invoke(holder("mcp:read", "finance"), secret)
    assert caught.value.required == ("finance", "hr", "mcp:invoke")
    assert caught.value.data == {
        "required_scopes": ["finance", "hr", "mcp:invoke"],
        "user_scopes": ["finance", "mcp:read"],
    }
    assert sees(holder("mcp:read"), secret)


def test_the_anonymous_caller_of_a_reopened_group_sees_no_flow_with_scopes() -> None:
    assert sees(ANONYMOUS, flow())
    assert can_invoke(ANONYMOUS, flow())
    assert not sees(ANONYMOUS, flow("payroll", "finance"))


def test_the_caller_of_an_open_gateway_sees_and_calls_everything() -> None:
    assert sees(OPEN, flow("payroll", "finance"))
    assert can_invoke(OPEN, flow("payroll", "finance"))
    assert "payroll" in readable(OPEN)
    assert not reaches_others(OPEN, TaskVerb.READ)


@pytest.mark.parametrize("verb", TaskVerb)
def test_tasks_of_others_are_reached_by_verb_and_flow_and_every_verb_includes_reading(verb: TaskVerb) -> None:
    every, one = holder(f"task:any:{verb}"), holder(f"task:echo:{verb}")
    for other in TaskVerb:
        reached = other in (verb, TaskVerb.READ)
        assert ("echo" in reaches_others(every, other)) is reached
        assert ("echo" in reaches_others(one, other)) is reached
        assert "other" not in reaches_others(one, other)
    assert not reaches_others(holder("mcp:invoke", "mcp:read", "flow:*:invoke"), verb)


def test_reading_an_own_task_needs_read_and_everything_else_invoke() -> None:
    assert [needed_for_own(verb) for verb in TaskVerb] == ["mcp:read", "mcp:invoke", "mcp:invoke"]


def test_scopes_of_the_gateway_are_told_from_others() -> None:
    assert all(map(is_known, ("mcp:read", "mcp:invoke", "flow:a:read", "flow:*:invoke", "flow:a:*", "task:any:answer")))
    assert not any(map(is_known, ("finance", "openid", "flow:a:write", "task:a:b:read")))


@pytest.mark.parametrize(
    ("scope", "form"),
    [
        ("mcp:raed", "mcp:read or mcp:invoke"),
        ("mcp:", "mcp:read or mcp:invoke"),
        ("flow:echo", "flow:NAME:read"),
        ("flow:echo:write", "flow:NAME:read"),
        ("task:any:answr", "task:FLOW:read, task:FLOW:cancel or task:FLOW:answer"),
        ("task:any:*", "task:FLOW:read"),
        ("taks:any:answer", "task:FLOW:read"),
        ("tasks:any:read", "task:FLOW:read"),
        ("Task:any:read", "task:FLOW:read"),
        ("tsk:any:cancel", "task:FLOW:read"),
        ("flows:echo:invoke", "flow:NAME:read"),
        ("mpc:read", "mcp:read"),
        ("MCP:invoke", "mcp:read"),
        ("mc:invoke", "mcp:read"),
    ],
)
def test_a_scope_that_begins_like_one_of_the_gateway_and_gives_nothing_is_told_with_what_was_expected(
    scope: str, form: str
) -> None:
    assert (expected_form(scope) or "").startswith(form)


@pytest.mark.parametrize(
    "scope",
    [
        "mcp:read",
        "flow:*:*",
        "task:echo:cancel",
        "finance",
        "mcp",
        "tasks:any",
        "a:mcp:x",
        "map:read",
        "tasks:read",
        "team:any:read",
        "tank:fuel:read",
        "ask:hr:answer",
        "work:flow:invoke",
        "taks",
        ":any:read",
    ],
)
def test_other_words_have_no_expected_form(scope: str) -> None:
    assert expected_form(scope) is None


def test_a_list_of_scopes_is_bounded_and_has_scope_tokens_only() -> None:
    # RFC 6749, section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
    assert split_scopes(" a  b ") == {"a", "b"}
    assert split_scopes("") == frozenset()
    for wrong in ('a"b', "a\\b", "a\tb", "é", "x" * (LONGEST_SCOPE + 1), " ".join(map(str, range(MOST_SCOPES + 1)))):
        with pytest.raises(ValueError, match="expected"):
            split_scopes(wrong)
    assert not is_scope("")

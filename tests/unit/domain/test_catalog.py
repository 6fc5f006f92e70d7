"""What a process offers, as those see it who list and watch it."""

from typing import Any

import pytest

from asya_crds.flow import Flow
from asya_gateway.domain.catalog import EVERYTHING, Catalog, Selection
from asya_gateway.domain.flow_offers import FlowOffer, FlowSource
from asya_gateway.domain.flows import FlowRegistry, FlowTable, ServedFlow
from asya_gateway.domain.identity.principals import ANONYMOUS, OPEN, Principal, Via
from asya_gateway.domain.identity.scopes import rights_of
from asya_gateway.domain.offers import KINDS, PROMPTS, RESOURCES, TOOLS, OfferKind
from asya_gateway.domain.task_offers import TaskSource


def served(name: str, size: int = 0, *, mcp: Any = None, **more: Any) -> ServedFlow:
    exposed = {"mcp": {} if mcp is None else mcp} if "a2a" not in more else {}
    flow = Flow.model_validate({"name": name, "entrypoint": "first", **exposed, **more})
    return ServedFlow(flow, lambda _: (), size=size)


def holder(*scopes: str) -> Principal:
    return Principal("key:k", rights_of(frozenset(scopes)), Via.KEY)


class Offered:
    """A registry and the catalog on it."""

    def __init__(self, *flows: ServedFlow) -> None:
        self.registry = FlowRegistry()
        self.catalog = Catalog([FlowSource(self.registry)])
        self.swap(*flows)

    def swap(self, *flows: ServedFlow, **sets: frozenset[str]) -> None:
        self.registry.swap(FlowTable.of(1, flows, sets=sets))

    def keys(self, kind: OfferKind[Any], selection: Selection = EVERYTHING) -> list[str]:
        page, _ = self.catalog.page(kind, "", 500, 10**6, OPEN, selection)
        return [offer.key for offer in page]


def test_a_list_is_another_one_only_where_something_that_it_shows_is() -> None:
    offered = Offered()
    first, hidden = served("first"), served("hidden", a2a={})
    counts = []
    for flows in ([first], [first, hidden], [served("first")], [served("first", timeout=9)], [first, served("b")], []):
        offered.swap(*flows)
        counts.append(offered.catalog.numbers[TOOLS])
    assert counts == [2, 2, 2, 2, 3, 4]
    assert offered.catalog.numbers[PROMPTS] == 1


def test_each_kind_of_list_changes_by_itself() -> None:
    one = {"prompt": {}, "resource": {"uri": "a://b"}}
    offered = Offered(served("f", mcp=one))
    before = dict(offered.catalog.numbers)
    offered.swap(served("f", mcp={**one, "resource": {"uri": "a://b", "size": 7}}))
    changed = [kind for kind in KINDS if offered.catalog.numbers[kind] != before[kind]]
    assert changed == [RESOURCES]


@pytest.mark.parametrize(
    ("name", "found", "more"), [("", ["a", "b"], True), ("b", ["c"], True), ("c", ["d"], False), ("d", [], False)]
)
def test_a_page_is_bounded_in_number_and_size_and_has_one_item_at_least(
    name: str, found: list[str], more: bool
) -> None:
    offered = Offered(served("d", 1), served("c", 99), served("b", 4), served("a", 4))
    page, goes_on = offered.catalog.page(TOOLS, name, 2, 10, OPEN)
    assert ([offer.key for offer in page], goes_on) == (found, more)


def test_a_change_touches_those_who_see_a_changed_flow_before_or_after_it() -> None:
    offered = Offered(served("a"), served("b"))
    offered.swap(served("a"), served("c"))
    touched = offered.catalog.last_changes[TOOLS].touches
    assert touched(OPEN)
    assert touched(holder("mcp:read"))
    assert touched(holder("flow:b:read"))
    assert touched(holder("flow:c:invoke"))
    assert not touched(holder("flow:a:read"))
    assert touched(ANONYMOUS)
    offered.swap(served("a"), served("c"))
    assert not offered.catalog.last_changes[TOOLS].touches(OPEN)


def test_a_change_touches_an_endpoint_only_by_what_it_shows() -> None:
    offered = Offered()
    sales, ops = Selection("sales"), Selection("ops")
    offered.swap(served("a", tags=["sales"]), served("b"), ops=frozenset({"b"}))
    change = offered.catalog.last_changes[TOOLS]
    assert (change.touches(OPEN, sales), change.touches(OPEN, ops)) == (True, True)
    offered.swap(served("a", tags=["sales"]), served("b", description="New."), ops=frozenset({"b"}))
    change = offered.catalog.last_changes[TOOLS]
    assert (change.touches(OPEN, sales), change.touches(OPEN, ops)) == (False, True)
    # A set that loses a member changes its own list, and no other one.
    offered.swap(served("a", tags=["sales"]), served("b", description="New."))
    change = offered.catalog.last_changes[TOOLS]
    assert [change.touches(OPEN, each) for each in (sales, ops, EVERYTHING)] == [False, True, False]
    assert not change.touches(OPEN, Selection(names=frozenset({"b"})))


def test_a_set_has_the_flows_that_it_names_and_those_with_its_tag() -> None:
    offered = Offered()
    offered.swap(served("a", tags=["sales"]), served("b"), served("c"), sales=frozenset({"b", "later"}))
    assert offered.keys(TOOLS, Selection("sales")) == ["a", "b"]
    assert offered.keys(TOOLS, Selection("sales", frozenset({"b", "c"}))) == ["b"]
    assert offered.keys(TOOLS, Selection(names=frozenset({"c", "unknown"}))) == ["c"]


def test_a_set_exists_if_it_is_written_or_if_the_caller_sees_a_flow_with_its_tag() -> None:
    offered = Offered()
    offered.swap(served("a", tags=["tagged"]), named=frozenset({"later"}))
    exists = offered.catalog.has_set
    assert [exists(name, OPEN) for name in ("tagged", "named", "other")] == [True, True, False]
    assert [exists(name, holder("flow:b:read")) for name in ("tagged", "named")] == [False, True]


def test_callers_with_the_same_rights_are_not_compared_flow_by_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each open stream asks when any rights change, and there may be ten thousand flows."""
    catalog = Offered(served("a"), served("b")).catalog
    assert catalog.shows_alike(TOOLS, holder("flow:a:read"), holder("flow:a:invoke"))
    assert not catalog.shows_alike(TOOLS, holder("flow:a:read"), holder("flow:b:read"))
    monkeypatch.setattr(FlowOffer, "seen_by", lambda *_: pytest.fail("a flow was looked at"))
    assert catalog.shows_alike(TOOLS, holder("flow:a:read"), holder("flow:a:read"))
    assert catalog.shows_alike(TOOLS, OPEN, OPEN)
    assert catalog.shows_alike(TOOLS, ANONYMOUS, ANONYMOUS)


def test_a_uri_belongs_to_the_template_with_the_longest_beginning_that_the_caller_sees() -> None:
    wide = served("wide", mcp={"resource": {"uriTemplate": "a://{+rest}"}})
    narrow = served("narrow", mcp={"resource": {"uriTemplate": "a://b/{id}"}})
    catalog = Offered(wide, narrow).catalog

    def found(uri: str, caller: Any = OPEN) -> Any:
        matching = catalog.matching(uri, caller)
        return None if matching is None else (matching[0].name, matching[1])

    assert found("a://b/1") == ("narrow", {"id": "1"})
    assert found("a://b/1/2") == ("wide", {"rest": "b/1/2"})
    assert found("a://b/1", holder("flow:wide:read")) == ("wide", {"rest": "b/1"})
    assert found("b://b/1") is None


def test_of_two_sources_with_one_key_the_first_counts() -> None:
    one, other = FlowRegistry(), FlowRegistry()
    catalog = Catalog([FlowSource(one), FlowSource(other), TaskSource()])
    other.swap(FlowTable.of(1, [served("f", description="Other.")]))
    assert catalog.find(TOOLS, "f", OPEN) is not None
    first = served("f", description="One.")
    one.swap(FlowTable.of(1, [first]))
    found = catalog.find(TOOLS, "f", OPEN)
    assert found is not None
    assert found.served is first


def test_tasks_are_resources_at_every_endpoint_of_those_who_may_read_some() -> None:
    catalog = Catalog([TaskSource()])
    selection = Selection(names=frozenset({"f"}))
    for uri, values in (("asya://tasks/a%2Fb", {"taskId": "a/b"}), ("asya://tasks/7/result", {"taskId": "7"})):
        found = catalog.matching(uri, OPEN, selection)
        assert found is not None
        assert found[1] == values
    assert catalog.matching("asya://tasks/7", holder()) is None

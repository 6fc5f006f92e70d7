"""A cache that is bounded by a number holds entries whose size is bounded, too; each of them says by what."""

import ast
from collections.abc import Iterator
from pathlib import Path

from asya_crds.envelope import Route, _short_route_json

ROOT = Path(__file__).parents[2]
SOURCES = ("crds", "gateway/asya_gateway", "gateway/asya_transports")

ROUTES = "short routes (envelope.Route.is_short) and messages of at most KEPT characters"
OURS = "arguments that the gateway itself chooses"
BOUNDED = {
    "asya_crds/envelope.py:_short_route_json": ROUTES,
    "asya_crds/envelope.py:_second": "a number",
    "asya_gateway/domain/identity/scopes.py:_common": "scopes of at most CACHED_SCOPES characters",
    "asya_gateway/domain/ids.py:_time_part": "a number",
    "asya_gateway/protocols/a2a/large_contents.py:_short_parts": "live events of at most SHORT characters",
    "asya_gateway/protocols/http/accept.py:_forms": "headers of at most ORDINARY characters",
    "asya_gateway/protocols/http/answers.py:_head": OURS,
    "asya_gateway/protocols/http/guard.py:self.knows_host": "hosts of at most LONGEST_HOST characters",
    "asya_gateway/protocols/http/messages.py:_validator": OURS,
    "asya_gateway/protocols/http/sources.py:network_of": "the text of an address, which has been parsed",
    "asya_gateway/protocols/http/streaming.py:_short_event": "live events of at most SHORT characters",
    "asya_gateway/protocols/mesh/handlers.py:_without_claim": "a number",
    "asya_gateway/protocols/mesh/hops.py:_ordinary_route": "routes of at most ORDINARY actors with names of a queue",
    "asya_gateway/protocols/rest/handles.py:_around": OURS,
    "asya_gateway/storage/log/fly.py:_head": "an id, and one of the few names of live events",
    "asya_gateway/storage/tasks/beginning.py:_processing": ROUTES,
    "asya_gateway/storage/tasks/beginning.py:_received": ROUTES,
    "asya_gateway/storage/tasks/handing_on.py:_completed": ROUTES,
    "asya_gateway/storage/tasks/heads.py:_route": "routes of at most ORDINARY characters",
    "asya_gateway/storage/tasks/hops.py:_statement": OURS,
}
"""By what the size of an entry is bounded, for every functools cache of the gateway. What belongs to an object is kept
beside it (domain/beside.py), and what others choose the size of is weighed (domain/weighed.py)."""


def caches(source: str) -> Iterator[str]:
    """The names of the functions that functools remembers the results of."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and any("lru_cache" in ast.unparse(each) for each in node.decorator_list):
            yield node.name
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and "lru_cache(" in ast.unparse(node.value):
            (target,) = node.targets if isinstance(node, ast.Assign) else (node.target,)
            yield ast.unparse(target)


def test_the_search_finds_decorators_and_wrapped_functions() -> None:
    source = "@lru_cache(maxsize=4)\ndef one(): ...\n@cached\ndef other(): ...\ntwo = lru_cache(8)(other)"
    assert list(caches(source)) == ["one", "two"]


def test_every_cache_with_a_number_of_entries_says_what_bounds_their_size() -> None:
    found = {
        f"{file.relative_to(ROOT / folder.partition('/')[0])}:{name}"
        for folder in SOURCES
        for file in (ROOT / folder).rglob("*.py")
        for name in caches(file.read_text())
    }
    assert found == BOUNDED.keys()


def test_what_is_made_of_a_route_with_long_names_is_not_remembered() -> None:
    remembered = _short_route_json.cache_info
    assert Route(("first",), "second").is_short
    Route(("first",), "second").to_json()
    before = remembered().currsize
    for long in (Route(("a" * 2_000,), "second"), Route((), "b" * 2_000), Route(tuple("abc" for _ in range(32)), "d")):
        assert not long.is_short
        assert Route.from_dict(long.as_dict()) == long
        long.to_json()
    assert remembered().currsize == before

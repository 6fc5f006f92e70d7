"""Which scopes a grant holds."""

from collections.abc import Iterable

from asya_gateway.domain.identity.scopes import (
    COMMON_SCOPES,
    Flows,
    TaskVerb,
    is_known,
    rights_of,
    split_scopes,
)
from asya_gateway.domain.oauth.clients import Client, ClientKind
from asya_gateway.domain.oauth.errors import InvalidScope


def read_scope(text: str | None) -> frozenset[str] | None:
    """The scopes of a request; None if it names none, which RFC 6749, section 3.3, leaves to the server. Raises
    InvalidScope."""
    if text is None or not text.strip(" "):
        return None
    try:
        return split_scopes(text)
    except ValueError as error:
        raise InvalidScope(str(error)) from None


def grantable(client: Client, asked: frozenset[str] | None) -> frozenset[str]:
    """What a client gets without a person's login. One that nobody vouches for gets the common scopes at most, whatever
    it asks for; if its description names none of them, it may have both. Scopes beyond that are left out, as RFC 6749,
    section 3.3, permits. Raises InvalidScope if nothing remains."""
    most = client.scopes if client.kind is ClientKind.OPERATOR else client.scopes & COMMON_SCOPES or COMMON_SCOPES
    granted = most if asked is None else included(most, asked)
    if not granted:
        raise InvalidScope(f"expected one of the scopes {' '.join(sorted(most))}" if most else "nothing can be granted")
    return granted


def asked_of_person(client: Client, asked: frozenset[str] | None) -> frozenset[str]:
    """What a person is asked to permit. Of that, a grant holds what the person holds. Raises InvalidScope."""
    wanted = (client.scopes or COMMON_SCOPES) if asked is None else asked
    if client.kind is not ClientKind.OPERATOR:
        return wanted
    limited = included(client.scopes, wanted)
    if not limited:
        raise InvalidScope(f"expected one of the scopes {' '.join(sorted(client.scopes))}")
    return limited


def included(held: Iterable[str], asked: Iterable[str]) -> frozenset[str]:
    """What of the held scopes a request gets: those that it names, and for one that is not held, those that it
    includes. Who holds `flow:report:invoke` and is asked for `mcp:invoke` grants the former.

    A scope that is not held is never granted, though one that is held may include it: a flow may require that very
    word of its callers.
    """
    all_held, wanted = frozenset(held), frozenset(asked)
    wider = frozenset(filter(is_known, wanted - all_held))
    finer = (scope for scope in all_held - wanted if wider and is_known(scope) and _within(scope, wider))
    return frozenset(all_held & wanted).union(finer)


def _within(scope: str, wider: frozenset[str]) -> bool:
    wanted, given = rights_of(frozenset({scope})), rights_of(wider)
    return (
        _part_of(wanted.reads, given.reads)
        and _part_of(wanted.invokes, given.invokes)
        and all(_part_of(wanted.tasks[verb], given.tasks[verb]) for verb in TaskVerb)
    )


def _part_of(part: Flows, whole: Flows) -> bool:
    return whole.every or (not part.every and part.names <= whole.names)

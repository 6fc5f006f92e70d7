"""The arguments of `asya auth key create`."""

from typing import Any

import pytest

from asya_cli.auth.keys import made, wanted
from asya_cli.errors import UsageProblem
from asya_gateway.domain.identity.scopes import MOST_SCOPES


def asked(**changes: Any) -> Any:
    values: dict[str, Any] = {"name": "ci", "scopes": [], "roles": [], "expires": ""}
    return wanted(**(values | changes))


@pytest.mark.parametrize(("text", "seconds"), [("90d", 90 * 86_400), ("12h", 43_200), ("3600", 3_600)])
def test_an_expiry_may_be_a_duration_from_now(text: str, seconds: int) -> None:
    for now in (1_000_000.0, 2_000_000_000.0):
        assert made(asked(expires=text), None, now)[1].expires_at == now + seconds


def test_an_expiry_may_be_a_time() -> None:
    for text in ("2027-01-01", "2027-01-01T01:00:00+01:00"):
        assert made(asked(expires=text), None, 0.0)[1].expires_at == 1_798_761_600


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "mcp"}, "NAME: 'mcp' is the name of a key from the settings; expected another name"),
        ({"name": "A b"}, "NAME: expected a name of at most 63 lower-case letters"),
        ({"scopes": ["x", "a b"]}, "--scope: expected a scope"),
        ({"scopes": [f"s{number}" for number in range(MOST_SCOPES + 1)]}, "--scope: expected at most 256"),
        (
            {"scopes": ["task:any:answr"]},
            "--scope: task:any:answr gives nothing; expected task:FLOW:read, task:FLOW:ca",
        ),
        ({"roles": [""]}, "--role: expected the name of a role"),
        ({"expires": "soon"}, "--expires: expected a day such as 2027-01-01"),
        ({"expires": "99999d"}, "--expires: expected a day such as 2027-01-01"),
        ({"expires": "2020-01-01"}, "--expires: expected a time in the future, not '2020-01-01'"),
        ({"expires": "0s"}, "--expires: expected a time in the future"),
    ],
)
def test_a_wrong_argument_is_named(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        made(asked(**changes), None, 1_700_000_000.0)
    assert caught.value.message.startswith(complaint)


@pytest.mark.parametrize(
    ("changes", "former", "scopes", "roles"),
    [
        ({}, None, ["mcp:invoke", "mcp:read"], []),
        ({}, (["a"], ["b"]), ["a"], ["b"]),
        ({"roles": ["ops"]}, (["a"], ["b"]), [], ["ops"]),
        ({"scopes": ["x"]}, (["a"], ["b"]), ["x"], []),
    ],
)
def test_scopes_come_from_the_options_or_from_the_newest_key_of_the_name(
    changes: dict[str, Any], former: Any, scopes: list[str], roles: list[str]
) -> None:
    _, record = made(asked(**changes), former, 0.0)
    assert (sorted(record.scopes), sorted(record.roles)) == (scopes, roles)

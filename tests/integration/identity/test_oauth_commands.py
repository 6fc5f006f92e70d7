"""`asya auth client` and `asya auth grant`: what they store, print and refuse."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from asya_gateway.domain.identity.scopes import COMMON_SCOPES
from asya_gateway.domain.oauth.clients import client_of_document, key_of
from asya_gateway.domain.oauth.errors import InvalidClient, InvalidGrant, InvalidScope, UnauthorizedClient
from asya_gateway.domain.oauth.grants import Approved, Person
from asya_gateway.domain.oauth.secrets import digest
from asya_gateway.storage.database import Database
from servers.forking import run
from tests.support.oauth import CALLBACK, ISSUER, Pkce, Replica

Asya = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def asya(database_url: str) -> Asya:
    """The command on the test's database."""

    def command(*words: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ASYA_")}
        return run("asya_cli", "auth", *words, env=kept | {"ASYA_DATABASE_URL": database_url}, timeout=30)

    return command


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, min_size=1, max_size=4, statement_timeout=20)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def replica(database: Database) -> Replica:
    return Replica(database)


def printed(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_a_client_with_a_secret_acts_for_itself(asya: Asya, replica: Replica) -> None:
    """RFC 6749, section 4.4. Only an operator's client gets more than the common scopes without a login."""
    done = asya("client", "create", "Nightly", "--secret", "--scope", "mcp:invoke", "--scope", "task:any:read")
    made = printed(done)
    assert made["client_secret"] not in done.stderr
    presenter = await replica.presenter(made["client_id"], made["client_secret"])
    issued = await replica.tokens.of_client(presenter, {"resource": f"{ISSUER}/mcp"})
    assert issued.refresh_token is None, "RFC 6749, section 4.4.3"
    principal = replica.access.principal(issued.access_token)
    assert principal.owner == f"client:{key_of(made['client_id'])}"
    assert principal.rights.scopes == {"mcp:invoke", "task:any:read"}
    assert principal.resource == "/mcp"
    assert (await replica.tokens.of_client(presenter, {"scope": "mcp:invoke"})).scopes == {"mcp:invoke"}
    with pytest.raises(InvalidScope):
        await replica.tokens.of_client(presenter, {"scope": "reports:write"})
    for wrong in (None, "", "wrong", made["client_secret"] + "x"):
        with pytest.raises(InvalidClient):
            await replica.presenter(made["client_id"], wrong)


async def test_an_access_token_of_a_client_that_acts_for_itself_is_revoked(asya: Asya, replica: Replica) -> None:
    made = printed(asya("client", "create", "Nightly", "--secret"))
    presenter = await replica.presenter(made["client_id"], made["client_secret"])
    issued = await replica.tokens.of_client(presenter, {})
    await replica.tokens.revoke(presenter, issued.access_token)
    found = replica.access.principal(issued.access_token)
    assert (
        await replica.count("revocations", f"subject = '{min(found.revocables - {f'client:{presenter.client.key}'})}'")
        == 1
    )


async def test_a_client_without_a_secret_uses_the_code_flow(asya: Asya, replica: Replica) -> None:
    made = printed(asya("client", "create", "Desk", "--redirect-uri", CALLBACK, "--scope", "reports:write"))
    assert made.keys() == {"client_id"}
    presenter, pkce = await replica.presenter(made["client_id"]), Pkce()
    issued = await replica.redeem(presenter, await replica.code(made["client_id"], pkce), pkce)
    assert issued.scopes == {"reports:write"}
    with pytest.raises(UnauthorizedClient):
        await replica.tokens.of_client(presenter, {})


async def test_a_client_that_acts_for_itself_alone_has_no_code_flow(asya: Asya, replica: Replica) -> None:
    made = printed(asya("client", "create", "Nightly", "--secret"))
    assert (await replica.client_store.find(key_of(made["client_id"]))).grant_types == {"client_credentials"}  # type: ignore[union-attr]


async def test_clients_and_grants_are_listed_without_secrets(asya: Asya, replica: Replica) -> None:
    made = printed(asya("client", "create", "Nightly", "--secret"))
    done = await replica.authorized()
    await replica.register(client_name="Unused")
    clients = printed(asya("client", "list", "--json"))["clients"]
    assert [(each["name"], each["kind"], each["grants"]) for each in clients] == [
        ("Nightly", "operator", 0),
        ("Test", "registered", 1),
    ]
    assert [each["client_id"] for each in clients] == [made["client_id"], None]
    assert len(printed(asya("client", "list", "--all", "--json"))["clients"]) == 3
    [grant] = printed(asya("grant", "list", "--json"))["grants"]
    assert grant["owner"] == f"client:{done.presenter.client.key}"
    assert grant["scopes"] == ["mcp:invoke", "mcp:read"]
    assert printed(asya("grant", "list", "--client", key_of(made["client_id"]), "--json"))["grants"] == []
    for words in (("client", "list"), ("client", "list", "--all", "--json"), ("grant", "list")):
        shown = asya(*words).stdout
        assert done.presenter.client_id not in shown
        assert made["client_secret"] not in shown
        assert "Test" in shown


async def test_an_empty_list_of_clients_says_what_it_leaves_out(asya: Asya, replica: Replica) -> None:
    assert asya("client", "list", "--all").stderr.startswith("there are no clients. ")
    await replica.register(client_name="Unused")
    assert asya("client", "list").stderr.startswith("no client is an operator's or holds a grant; --all shows reg")


async def test_a_grant_is_revoked(asya: Asya, replica: Replica) -> None:
    done = await replica.authorized()
    [grant] = printed(asya("grant", "list", "--json"))["grants"]
    assert asya("grant", "revoke", grant["id"]).stdout == f"revoked {grant['id']}\n"
    with pytest.raises(InvalidGrant):
        await replica.refresh(done.presenter, done.refresh)
    again = asya("grant", "revoke", grant["id"])
    assert (again.returncode, again.stderr) == (
        1,
        "error: no living grant has this id; `asya auth grant list` shows them\n",
    )


class KnownPeople:
    """Everybody holds what a client asks for."""

    async def scopes_of(self, person: Person) -> frozenset[str]:
        return COMMON_SCOPES

    async def cap_of(self, person: Person) -> int | None:
        return None


async def test_everything_that_was_granted_for_a_person_ends_at_once(asya: Asya, database: Database) -> None:
    replica = Replica(database, people=KnownPeople())
    ann, bob = Person("user:corp:ann"), Person("user:corp:ann:x")
    hers = [await replica.authorized(person=ann) for _ in range(2)]
    his = await replica.authorized(person=bob)
    pkce = Pkce()
    code = await replica.code(hers[0].presenter.client_id, pkce, ann)
    assert asya("grant", "revoke", "--owner", ann.id).stdout == "revoked 2 grants of user:corp:ann\n"
    for each in hers:
        with pytest.raises(InvalidGrant):
            await replica.refresh(each.presenter, each.refresh)
    with pytest.raises(InvalidGrant):
        await replica.redeem(hers[0].presenter, code, pkce)
    assert await replica.count("revocations") == 2, "access tokens end, too"
    await replica.refresh(his.presenter, his.refresh)
    again = asya("grant", "revoke", "--owner", ann.id)
    assert (again.returncode, again.stderr) == (
        1,
        "error: nothing is granted to clients of this owner; `asya auth grant list` shows owners\n",
    )


@pytest.mark.parametrize("kind", ["registered", "metadata"])
async def test_an_owner_from_the_list_can_be_revoked(asya: Asya, replica: Replica, kind: str) -> None:
    if kind == "registered":
        await replica.authorized()
    else:
        url, pkce = "https://client.example/metadata.json", Pkce()
        approved = Approved(client_of_document(url), CALLBACK, pkce.challenge, COMMON_SCOPES, ISSUER)
        await replica.grants.keep_code(digest("one"), approved, 300.0)
        await replica.redeem(await replica.presenter(url), "one", pkce)
    [grant] = printed(asya("grant", "list", "--json"))["grants"]
    assert asya("grant", "revoke", "--owner", grant["owner"]).stdout == f"revoked 1 grant of {grant['owner']}\n"
    assert printed(asya("grant", "list", "--json"))["grants"] == []


@pytest.mark.parametrize("by", ["key", "id"])
async def test_a_client_is_revoked_by_its_key_or_its_id(asya: Asya, replica: Replica, by: str) -> None:
    done = await replica.authorized()
    which = done.presenter.client.key if by == "key" else done.presenter.client_id
    assert asya("client", "revoke", which).stdout == "revoked the client and 1 grant\n"
    with pytest.raises(InvalidClient):
        await replica.presenter(done.presenter.client_id)
    assert asya("client", "revoke", which).returncode == 1
    events = await replica.database.fetch(
        "SELECT event, principal FROM audit WHERE event LIKE '%revoked' ORDER BY event"
    )
    assert [(row["event"], row["principal"]) for row in events] == [
        ("client_revoked", "database:postgres"),
        ("grant_revoked", "database:postgres"),
    ]


async def test_a_code_of_a_revoked_metadata_client_gives_nothing(asya: Asya, replica: Replica) -> None:
    """Its id stays good, and a code that was not used yet is no grant that could be ended."""
    url, pkce = "https://client.example/metadata.json", Pkce()
    approved = Approved(client_of_document(url), CALLBACK, pkce.challenge, COMMON_SCOPES, ISSUER)
    for code in ("one", "two"):
        await replica.grants.keep_code(digest(code), approved, 300.0)
    presenter = await replica.presenter(url)
    await replica.redeem(presenter, "one", pkce)
    assert asya("client", "revoke", url).stdout == "revoked 1 grant\n"
    with pytest.raises(InvalidGrant):
        await replica.redeem(presenter, "two", pkce)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("grant", "revoke"), "expected either the ID of a grant or --owner"),
        (("grant", "revoke", "g1", "--owner", "user:corp:ann"), "expected either the ID of a grant or --owner"),
        (("client", "create", "Desk"), "expected --redirect-uri for the code flow, --secret"),
        (("client", "create", "", "--secret"), "NAME: expected 1 to 128 printable characters"),
        (("client", "create", "a\nb", "--secret"), "NAME: expected 1 to 128 printable characters"),
        (("client", "create", "Desk", "--secret", "--scope", "a b"), "--scope: expected a scope: visible ASCII"),
        (
            ("client", "create", "Desk", "--secret", "--scope", "flow:a"),
            "--scope: flow:a gives nothing; expected flow:",
        ),
        (("client", "create", "Desk", "--redirect-uri", "http://a.example"), "--redirect-uri: expected https"),
        (("client", "create", "Desk", "--redirect-uri", "javascript:x"), "--redirect-uri: expected"),
    ],
)
async def test_a_wrong_argument_is_named_and_nothing_is_stored(
    asya: Asya, replica: Replica, words: tuple[str, ...], complaint: str
) -> None:
    done = asya(*words)
    assert (done.returncode, done.stderr.startswith(f"error: {complaint}")) == (2, True), done.stderr
    assert await replica.count("oauth_clients") == 0

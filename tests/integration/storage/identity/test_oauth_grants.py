"""Codes, grants and refresh tokens on one database that two replicas use."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from asya_cli.auth import clients
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.scopes import COMMON_SCOPES
from asya_gateway.domain.oauth.clients import Client, ClientKind, client_of_document, key_of
from asya_gateway.domain.oauth.errors import InvalidClient, InvalidGrant, InvalidScope, InvalidTarget, OAuthError
from asya_gateway.domain.oauth.grants import Approved, Person
from asya_gateway.domain.oauth.ports import Ended, NewGrant, Proof
from asya_gateway.domain.oauth.secrets import digest
from asya_gateway.domain.oauth.tokens import Issued, Presenter
from asya_gateway.storage.database import Database
from asya_gateway.storage.identity.oauth_ending import end_client
from asya_gateway.storage.identity.oauth_listing import list_grants
from asya_gateway.storage.identity.oauth_retention import OAuthRetention
from tests.support.blocks import counted_blocks
from tests.support.oauth import CALLBACK, ISSUER, Pkce, Redeemed, Replica

HOLDS: dict[str, frozenset[str] | None] = {}


class FakePeople:
    """What persons hold is what a test says."""

    async def scopes_of(self, person: Person) -> frozenset[str] | None:
        if person.id == "user:corp:away":
            raise Unavailable("the identity service does not answer")
        return HOLDS.get(person.id)

    async def cap_of(self, person: Person) -> int | None:
        return 7


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    databases = [Database(database_url, min_size=1, max_size=4, statement_timeout=20) for _ in range(2)]
    for each in databases:
        await each.open()
    yield Replica(databases[0]), Replica(databases[1])
    for each in databases:
        await each.close()


@pytest.fixture
def replica(replicas: tuple[Replica, Replica]) -> Replica:
    return replicas[0]


async def age(replica: Replica, table: str, column: str, seconds: float) -> None:
    """Let so much time pass for every row."""
    await replica.database.execute(f"UPDATE {table} SET {column} = {column} - $1 * interval '1 second'", seconds)


async def revoked(replica: Replica, grant: str) -> bool:
    return bool(await replica.count("revocations", f"subject = 'grant:{grant}'"))


def grant_of(issued: Issued, replica: Replica) -> str:
    found = replica.access.grant_in(issued.access_token)
    assert found is not None
    return found[0]


class TestClientsThatActForThemselves:
    @pytest.fixture
    async def session(self, database_url: str) -> AsyncIterator[asyncpg.Connection]:
        """An operator's session on the database."""
        connection = await asyncpg.connect(database_url)
        yield connection
        await connection.close()

    @pytest.fixture
    async def robot(self, session: asyncpg.Connection, replica: Replica) -> Presenter:
        made = clients.made("Robot", ["mcp:read", "task:any:read"], [], secret=True)
        await clients.store(session, made.client)
        return await replica.presenter(made.client_id, made.secret)

    async def test_what_a_client_got_for_itself_is_listed_and_audited_like_every_grant(
        self, replica: Replica, robot: Presenter, session: asyncpg.Connection
    ) -> None:
        issued = await replica.tokens.of_client(robot, {"scope": "task:any:read", "resource": f"{ISSUER}/mcp"})
        assert (issued.refresh_token, *issued.scopes, issued.expires_in) == (None, "task:any:read", 3600)
        [listed] = await list_grants(session)
        assert (listed.id, listed.owner) == (grant_of(issued, replica), f"client:{robot.client.key}")
        assert (listed.client_name, listed.scopes, listed.resource) == ("Robot", ("task:any:read",), f"{ISSUER}/mcp")
        row = await replica.database.fetchrow("SELECT * FROM audit WHERE event = 'grant_created'")
        assert row is not None
        found = (row["principal"], row["subject"], row["source"])
        assert found == (f"client:{robot.client.key}", f"grant:{listed.id}", "192.0.2.1")

    async def test_it_ends_with_its_token_or_when_it_is_revoked(
        self, replica: Replica, robot: Presenter, session: asyncpg.Connection
    ) -> None:
        issued = await replica.tokens.of_client(robot, {})
        await clients.revoke_grant(session, grant_of(issued, replica))
        assert await revoked(replica, grant_of(issued, replica))
        await replica.tokens.of_client(robot, {})
        assert len(await list_grants(session)) == 1
        await age(replica, "oauth_grants", "idle_at", 3600)
        assert await list_grants(session) == []

    async def test_the_oldest_of_too_many_end(self, replica: Replica, robot: Presenter) -> None:
        few = Replica(replica.database, most_grants=2)
        issued = [await few.tokens.of_client(robot, {}) for _ in range(3)]
        assert [await revoked(few, grant_of(each, few)) for each in issued] == [True, False, False]

    async def test_it_is_made_once_although_its_answer_is_lost(self, replica: Replica, robot: Presenter) -> None:
        new = NewGrant("ab" * 16, None, 60, 60, "192.0.2.1")
        made = [await replica.grants.grant_to(robot.client, COMMON_SCOPES, ISSUER, new) for _ in range(2)]
        assert made[0] == made[1]
        assert await replica.count("oauth_grants") == 1


class TestCodes:
    async def test_a_code_of_one_replica_is_redeemed_on_the_other(self, replicas: tuple[Replica, Replica]) -> None:
        one, other = replicas
        made, pkce = await one.register(), Pkce()
        code = await one.code(made.client_id, pkce, scope="mcp:read", resource=f"{ISSUER}/mcp")
        issued = await other.redeem(await other.presenter(made.client_id), code, pkce)
        principal = one.access.principal(issued.access_token)
        assert principal.owner == f"client:{made.client.key}"
        assert principal.rights.scopes == issued.scopes == {"mcp:read"}
        assert principal.resource == "/mcp"
        assert issued.expires_in == 3600

    async def test_of_two_replicas_one_redeems_a_code(self, replicas: tuple[Replica, Replica]) -> None:
        """RFC 6749, section 4.1.2: "The client MUST NOT use the authorization code more than once"."""
        one, other = replicas
        for _ in range(5):
            made, pkce = await one.register(), Pkce()
            code, presenter = await one.code(made.client_id, pkce), await one.presenter(made.client_id)
            outcomes = await asyncio.gather(
                *(each.redeem(presenter, code, pkce) for each in (one, other) * 2), return_exceptions=True
            )
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["InvalidGrant"] * 3 + ["Issued"]

    async def test_a_replayed_code_ends_what_was_issued_for_it(self, replicas: tuple[Replica, Replica]) -> None:
        """RFC 6749, section 4.1.2: it "MUST deny the request and SHOULD revoke (when possible) all tokens previously
        issued based on that authorization code"."""
        one, other = replicas
        done = await one.authorized()
        with pytest.raises(InvalidGrant):
            await other.redeem(done.presenter, done.code, done.pkce)
        assert await revoked(one, grant_of(done.issued, one))
        with pytest.raises(InvalidGrant):
            await one.refresh(done.presenter, done.refresh)
        rows = await one.database.fetch(
            "SELECT principal, via, source, reason FROM audit WHERE event = 'grant_revoked'"
        )
        by = f"client:{done.presenter.client.key}"
        assert [tuple(row) for row in rows] == [(by, "oauth", "192.0.2.1", Ended.CODE_REPLAYED)]

    @pytest.mark.parametrize(
        "changes",
        [
            {"code_verifier": "v" * 43},
            {"code_verifier": None},
            {"code_verifier": "short"},
            {"redirect_uri": f"{CALLBACK}/other"},
            {"redirect_uri": None},
            {"resource": "https://other.example"},
        ],
        ids=str,
    )
    async def test_a_client_that_presents_its_used_code_again_ends_it_whatever_comes_with_it(
        self, replica: Replica, changes: dict[str, str | None]
    ) -> None:
        """RFC 6749, section 10.5: "If the authorization server observes multiple attempts to exchange an authorization
        code for an access token, the authorization server SHOULD attempt to revoke all access tokens already granted
        based on the compromised authorization code"."""
        done = await replica.authorized()
        form = {"code": done.code, "redirect_uri": CALLBACK, "code_verifier": done.pkce.verifier, **changes}
        with pytest.raises(OAuthError):
            await replica.tokens.of_code(
                done.presenter, {name: value for name, value in form.items() if value is not None}
            )
        assert await revoked(replica, grant_of(done.issued, replica))
        with pytest.raises(InvalidGrant):
            await replica.refresh(done.presenter, done.refresh)

    async def test_a_third_party_that_saw_a_used_code_ends_nothing(self, replica: Replica) -> None:
        """It does not know the id of a registered client, which is a secret. The id of one that is described by a
        document is public, so that only the verifier tells the client from others (OAuth 2.1, section 4.1.3: "a second
        valid token request")."""
        done, thief = await replica.authorized(), await replica.register()
        with pytest.raises(InvalidGrant):
            await replica.redeem(await replica.presenter(thief.client_id), done.code, done.pkce)
        await replica.refresh(done.presenter, done.refresh)
        url, pkce = "https://client.example/metadata.json", Pkce()
        described = Client(key_of(url), ClientKind.METADATA, "Described", redirect_uris=(CALLBACK,), public_id=url)
        approved = Approved(described, CALLBACK, pkce.challenge, frozenset({"mcp:read"}), ISSUER)
        await replica.grants.keep_code(digest("seen"), approved, 60)
        presenter = await replica.presenter(url)
        issued = await replica.redeem(presenter, "seen", pkce)
        for verifier in ("v" * 43, "short"):
            with pytest.raises(InvalidGrant):
                await replica.redeem(presenter, "seen", pkce, code_verifier=verifier)
        assert not await revoked(replica, grant_of(issued, replica))
        with pytest.raises(InvalidGrant):
            await replica.redeem(presenter, "seen", pkce, redirect_uri=f"{CALLBACK}/other")
        assert await revoked(replica, grant_of(issued, replica))

    async def test_a_code_that_was_not_used_ends_nothing_and_stays_good_after_a_mistake(self, replica: Replica) -> None:
        made, pkce = await replica.register(), Pkce()
        code, presenter = await replica.code(made.client_id, pkce), await replica.presenter(made.client_id)
        for form in ({"code_verifier": "short"}, {"resource": "https://other.example"}):
            with pytest.raises(OAuthError):
                await replica.redeem(presenter, code, pkce, **form)
        issued = await replica.redeem(presenter, code, pkce)
        assert not await revoked(replica, grant_of(issued, replica))

    async def test_a_code_belongs_to_client_redirect_and_verifier_and_is_not_used_up_by_another(
        self, replica: Replica
    ) -> None:
        """RFC 6749, section 4.1.3, and RFC 7636, section 4.6."""
        made, thief, pkce = await replica.register(), await replica.register(), Pkce()
        code = await replica.code(made.client_id, pkce)
        mine, theirs = await replica.presenter(made.client_id), await replica.presenter(thief.client_id)
        for presenter, verifier, more in (
            (theirs, pkce, {}),
            (mine, Pkce(), {}),
            (mine, pkce, {"redirect_uri": f"{CALLBACK}/other"}),
        ):
            with pytest.raises(InvalidGrant):
                await replica.redeem(presenter, code, verifier, **more)
        await replica.redeem(mine, code, pkce)

    async def test_a_code_is_good_for_five_minutes_of_the_databases_clock(self, replica: Replica) -> None:
        made, pkce = await replica.register(), Pkce()
        code, presenter = await replica.code(made.client_id, pkce), await replica.presenter(made.client_id)
        await age(replica, "oauth_codes", "expires_at", 299)
        early = await replica.code(made.client_id, pkce)
        await age(replica, "oauth_codes", "expires_at", 2)
        with pytest.raises(InvalidGrant):
            await replica.redeem(presenter, code, pkce)
        await replica.redeem(presenter, early, pkce)

    async def test_a_resource_that_is_refused_does_not_use_up_the_code(self, replica: Replica) -> None:
        made, pkce = await replica.register(), Pkce()
        code = await replica.code(made.client_id, pkce, resource=f"{ISSUER}/mcp")
        presenter = await replica.presenter(made.client_id)
        for other in (ISSUER, "https://other.example.com"):
            with pytest.raises(InvalidTarget):
                await replica.redeem(presenter, code, pkce, resource=other)
        await replica.redeem(presenter, code, pkce, resource=f"{ISSUER}/mcp")

    async def test_an_answer_that_was_lost_is_given_again_to_the_same_request(self, replica: Replica) -> None:
        client = client_of_document("https://client.example/metadata.json")
        approved = Approved(client, CALLBACK, "c" * 43, frozenset({"mcp:read"}), ISSUER)
        await replica.grants.keep_code(digest("code"), approved, 300)
        proof = Proof(client.key, CALLBACK, "c" * 43)
        new = NewGrant("g1", digest("refresh"), 60, 60)
        first = await replica.grants.redeem(digest("code"), proof, new)
        assert first is not None
        assert await replica.grants.redeem(digest("code"), proof, new) == first
        assert not await revoked(replica, "g1")

    async def test_a_client_without_refresh_tokens_gets_none(self, replica: Replica) -> None:
        made, pkce = await replica.register(grant_types=["authorization_code"]), Pkce()
        code = await replica.code(made.client_id, pkce)
        issued = await replica.redeem(await replica.presenter(made.client_id), code, pkce)
        assert issued.refresh_token is None
        assert await replica.count("oauth_refresh_tokens") == 0

    async def test_no_secret_is_stored(self, replica: Replica) -> None:
        done = await replica.authorized()
        await replica.refresh(done.presenter, done.refresh)
        secrets = [done.code, done.refresh, done.presenter.client_id, done.issued.access_token, done.pkce.verifier]
        for table in ("oauth_clients", "oauth_codes", "oauth_grants", "oauth_refresh_tokens", "audit", "revocations"):
            text = str(await replica.database.fetchval(f"SELECT json_agg(t)::text FROM {table} t"))
            assert not [secret for secret in secrets if secret[-20:] in text]


class TestRefreshTokens:
    async def test_a_refresh_token_is_rotated_on_use(self, replica: Replica) -> None:
        """OAuth 2.1, section 4.3.1: refresh tokens of public clients are sender-constrained or rotated."""
        done = await replica.authorized()
        second = await replica.refresh(done.presenter, done.refresh)
        assert second.refresh_token not in (None, done.refresh)
        assert second.scopes == done.issued.scopes
        assert grant_of(second, replica) == grant_of(done.issued, replica)

    async def test_one_presented_again_soon_gets_the_newest_of_its_line(self, replica: Replica) -> None:
        """Clients refresh in several tabs, and repeat a request whose answer was lost."""
        done = await replica.authorized()
        second = await replica.refresh(done.presenter, done.refresh)
        assert second.refresh_token is not None
        third = await replica.refresh(done.presenter, second.refresh_token)
        again = await replica.refresh(done.presenter, done.refresh)
        assert again.refresh_token == third.refresh_token
        assert again.access_token != third.access_token
        assert await replica.count("oauth_refresh_tokens", "rotated_at IS NULL") == 1

    async def test_both_replicas_give_the_same_successor_at_the_same_time(
        self, replicas: tuple[Replica, Replica]
    ) -> None:
        one, other = replicas
        done = await one.authorized()
        token = done.refresh
        for _ in range(5):
            answers = await asyncio.gather(*(each.refresh(done.presenter, token) for each in (one, other) * 3))
            successors = {answer.refresh_token for answer in answers}
            assert len(successors) == 1
            token = successors.pop() or ""
        assert await one.count("oauth_refresh_tokens") == 6

    async def test_later_reuse_revokes_the_family(self, replicas: tuple[Replica, Replica]) -> None:
        """RFC 9700, section 4.14.2: "the authorization server [...] will revoke the active refresh token"."""
        one, other = replicas
        done = await one.authorized()
        second = await one.refresh(done.presenter, done.refresh)
        await age(one, "oauth_refresh_tokens", "rotated_at", 59)
        assert (await one.refresh(done.presenter, done.refresh)).refresh_token == second.refresh_token
        await age(one, "oauth_refresh_tokens", "rotated_at", 2)
        with pytest.raises(InvalidGrant):
            await other.refresh(done.presenter, done.refresh)
        assert await revoked(one, grant_of(second, one))
        assert second.refresh_token is not None
        for token in (done.refresh, second.refresh_token):
            with pytest.raises(InvalidGrant):
                await one.refresh(done.presenter, token)

    async def test_one_of_another_client_is_refused_and_nothing_ends(self, replica: Replica) -> None:
        done, thief = await replica.authorized(), await replica.register()
        with pytest.raises(InvalidGrant):
            await replica.refresh(await replica.presenter(thief.client_id), done.refresh)
        await replica.refresh(done.presenter, done.refresh)

    async def test_it_ends_after_thirty_days_without_use(self, replica: Replica) -> None:
        done = await replica.authorized()
        await age(replica, "oauth_refresh_tokens", "expires_at", 29.9 * 86_400)
        second = await replica.refresh(done.presenter, done.refresh)
        assert second.refresh_token is not None
        await age(replica, "oauth_refresh_tokens", "expires_at", 30 * 86_400)
        with pytest.raises(InvalidGrant):
            await replica.refresh(done.presenter, second.refresh_token)

    async def test_its_grant_ends_after_180_days_however_often_it_is_used(self, replica: Replica) -> None:
        done = await replica.authorized()
        await age(replica, "oauth_grants", "ends_at", 179.9 * 86_400)
        second = await replica.refresh(done.presenter, done.refresh)
        assert second.refresh_token is not None
        left = await replica.database.fetchval(
            "SELECT extract(epoch FROM max(expires_at) - now()) FROM oauth_refresh_tokens WHERE rotated_at IS NULL"
        )
        assert 0 < left < 9000
        await age(replica, "oauth_grants", "ends_at", 86_400)
        with pytest.raises(InvalidGrant):
            await replica.refresh(done.presenter, second.refresh_token)

    async def test_scopes_are_narrowed_and_never_widened(self, replica: Replica) -> None:
        """RFC 6749, section 6: "The requested scope MUST NOT include any scope not originally granted"."""
        done = await replica.authorized(scope="mcp:read mcp:invoke")
        narrow = await replica.refresh(done.presenter, done.refresh, scope="mcp:read")
        assert narrow.scopes == {"mcp:read"}
        assert narrow.refresh_token is not None
        with pytest.raises(InvalidScope):
            await replica.refresh(done.presenter, narrow.refresh_token, scope="mcp:read task:any:read")
        assert (await replica.refresh(done.presenter, narrow.refresh_token)).scopes == done.issued.scopes

    async def test_a_resource_is_narrowed_and_never_widened(self, replica: Replica) -> None:
        done = await replica.authorized(resource=f"{ISSUER}/mcp")
        with pytest.raises(InvalidTarget):
            await replica.refresh(done.presenter, done.refresh, resource=ISSUER)
        issued = await replica.refresh(done.presenter, done.refresh, resource=f"{ISSUER}/mcp/sse")
        assert replica.access.principal(issued.access_token).resource == "/mcp/sse"


class TestPersons:
    @pytest.fixture
    async def login(self, replicas: tuple[Replica, Replica]) -> Replica:
        HOLDS.clear()
        HOLDS["user:corp:alice"] = frozenset({"mcp:read", "flow:report:invoke", "reports:write", "task:any:read"})
        return Replica(replicas[0].database, people=FakePeople())

    async def test_a_grant_holds_what_is_asked_and_the_person_holds(self, login: Replica) -> None:
        alice = Person("user:corp:alice")
        done = await login.authorized(person=alice, scope="mcp:read mcp:invoke reports:write")
        assert done.issued.scopes == {"mcp:read", "flow:report:invoke", "reports:write"}
        principal = login.access.principal(done.issued.access_token)
        assert (principal.owner, principal.max_open_tasks) == ("user:corp:alice", 7)

    async def test_it_is_computed_again_at_every_refresh(self, login: Replica) -> None:
        done = await login.authorized(person=Person("user:corp:alice"), scope="mcp:read mcp:invoke")
        HOLDS["user:corp:alice"] = frozenset({"mcp:read"})
        lesser = await login.refresh(done.presenter, done.refresh)
        assert lesser.scopes == {"mcp:read"}
        HOLDS["user:corp:alice"] = frozenset({"mcp:read", "mcp:invoke", "task:any:cancel"})
        assert lesser.refresh_token is not None
        assert (await login.refresh(done.presenter, lesser.refresh_token)).scopes == {"mcp:read", "mcp:invoke"}

    async def test_a_person_who_may_not_come_any_more_gets_no_token(self, login: Replica) -> None:
        done = await login.authorized(person=Person("user:corp:alice"))
        HOLDS["user:corp:alice"] = None
        with pytest.raises(InvalidGrant):
            await login.refresh(done.presenter, done.refresh)

    async def test_while_the_service_is_away_neither_a_code_nor_a_refresh_token_is_used_up(
        self, login: Replica
    ) -> None:
        made, pkce = await login.register(), Pkce()
        code = await login.code(made.client_id, pkce, Person("user:corp:away"))
        presenter = await login.presenter(made.client_id)
        with pytest.raises(Unavailable):
            await login.redeem(presenter, code, pkce)
        await login.database.execute("UPDATE oauth_codes SET person = 'user:corp:alice'")
        issued = await login.redeem(presenter, code, pkce)
        await login.database.execute("UPDATE oauth_grants SET person = 'user:corp:away'")
        with pytest.raises(Unavailable):
            await login.refresh(presenter, issued.refresh_token or "")
        assert await login.count("oauth_refresh_tokens", "rotated_at IS NOT NULL") == 0

    async def test_a_grant_from_before_the_login_is_good_no_longer_and_the_other_way_round(
        self, replica: Replica, login: Replica
    ) -> None:
        before = await replica.authorized()
        with pytest.raises(InvalidGrant, match="new authorization"):
            await login.refresh(before.presenter, before.refresh)
        during = await login.authorized(person=Person("user:corp:alice"))
        with pytest.raises(InvalidGrant, match="new authorization"):
            await replica.refresh(during.presenter, during.refresh)


class TestRevocation:
    @pytest.mark.parametrize("which", ["refresh_token", "access_token"])
    async def test_a_token_is_revoked_with_everything_of_its_grant(self, replica: Replica, which: str) -> None:
        """RFC 7009, section 2.1."""
        done = await replica.authorized()
        await replica.tokens.revoke(done.presenter, getattr(done.issued, which))
        assert await revoked(replica, grant_of(done.issued, replica))
        with pytest.raises(InvalidGrant):
            await replica.refresh(done.presenter, done.refresh)
        await replica.tokens.revoke(done.presenter, getattr(done.issued, which))

    async def test_a_token_of_another_client_is_not_revoked(self, replica: Replica) -> None:
        """RFC 7009, section 2.1: "If this validation fails, the request is refused"."""
        done, other = await replica.authorized(), await replica.authorized()
        for token in (done.refresh, done.issued.access_token):
            with pytest.raises(InvalidGrant):
                await replica.tokens.revoke(other.presenter, token)
        await replica.refresh(done.presenter, done.refresh)

    async def test_an_unknown_token_is_revoked_already(self, replica: Replica) -> None:
        """RFC 7009, section 2.2: "invalid tokens do not cause an error response"."""
        done = await replica.authorized()
        for token in ("", "x", "a.b.c", "x" * 100_000):
            await replica.tokens.revoke(done.presenter, token)

    async def test_an_operator_ends_a_client_with_its_grants(self, replica: Replica) -> None:
        done, other = await replica.authorized(), await replica.authorized()
        key = done.presenter.client.key
        async with replica.database.connection() as connection:
            assert await end_client(connection, key, "operator", 60) == (True, 1)
            assert await end_client(connection, key, "operator", 60) == (False, 0)
        with pytest.raises(InvalidClient):
            await replica.presenter(done.presenter.client_id)
        assert await replica.count("revocations") == 2
        await replica.refresh(other.presenter, other.refresh)

    async def test_a_metadata_client_that_an_operator_ends_may_ask_again(self, replica: Replica) -> None:
        """Its id is the same for everybody, and stays known: only what was granted ends."""
        url = "https://client.example/metadata.json"
        client = replace(client_of_document(url), redirect_uris=(CALLBACK,))
        pkce = Pkce()
        approved = Approved(client, CALLBACK, pkce.challenge, frozenset({"mcp:read"}), ISSUER)
        await replica.grants.keep_code(digest("asya_code_x"), approved, 300)
        issued = await replica.redeem(Presenter(client, url), "asya_code_x", pkce)
        async with replica.database.connection() as connection:
            assert await end_client(connection, client.key, "operator", 60) == (False, 1)
        assert await replica.count("revocations", "subject LIKE 'client:%'") == 0
        assert await revoked(replica, grant_of(issued, replica))


class TestBounds:
    async def test_the_least_recently_used_grants_of_a_client_end(self, replicas: tuple[Replica, Replica]) -> None:
        few = Replica(replicas[0].database, most_grants=3)
        made = await few.register()
        presenter = await few.presenter(made.client_id)
        issued = []
        for _ in range(3):
            pkce = Pkce()
            issued.append(await few.redeem(presenter, await few.code(made.client_id, pkce), pkce))
        renewed = await few.refresh(presenter, issued[0].refresh_token or "")
        pkce = Pkce()
        await few.redeem(presenter, await few.code(made.client_id, pkce), pkce)
        assert await few.count("oauth_grants", "revoked_at IS NULL") == 3
        with pytest.raises(InvalidGrant):
            await few.refresh(presenter, issued[1].refresh_token or "")
        await few.refresh(presenter, renewed.refresh_token or "")

    async def test_one_person_does_not_end_the_grants_of_the_others(self, replica: Replica) -> None:
        class Everything:
            async def scopes_of(self, person: Person) -> frozenset[str]:
                return COMMON_SCOPES

            async def cap_of(self, person: Person) -> int | None:
                return None

        few = Replica(replica.database, people=Everything(), most_grants=3)
        made = await few.register()
        presenter = await few.presenter(made.client_id)
        for name in ("ann", "bob", "eve", "eve", "eve", "eve"):
            pkce = Pkce()
            code = await few.code(made.client_id, pkce, Person(f"user:corp:{name}"))
            await few.redeem(presenter, code, pkce)
        rows = await few.database.fetch("SELECT person FROM oauth_grants WHERE revoked_at IS NULL ORDER BY person")
        assert [row["person"] for row in rows] == ["user:corp:ann", "user:corp:bob", "user:corp:eve"]

    async def test_without_persons_one_address_does_not_end_the_grants_of_others(self, replica: Replica) -> None:
        few = Replica(replica.database, most_grants=3)
        made = await few.register()
        presenter = await few.presenter(made.client_id)
        for source in ("192.0.2.1", "192.0.2.2", "198.51.100.9", "198.51.100.9", "198.51.100.9", "198.51.100.9"):
            pkce = Pkce()
            code = await few.code(made.client_id, pkce)
            await few.redeem(replace(presenter, source=source), code, pkce)
        rows = await few.database.fetch("SELECT source FROM oauth_grants WHERE revoked_at IS NULL ORDER BY source")
        assert [row["source"] for row in rows] == ["192.0.2.1", "192.0.2.2", "198.51.100.9"]

    async def test_no_more_clients_are_kept_than_there_may_be(self, replica: Replica) -> None:
        first, second, third = [(await replica.register()).client for _ in range(3)]
        store = replica.client_store
        assert await store.register(first, 10, "")
        fresh = replace(first, key="fresh")
        assert not await store.register(fresh, 3, "")
        done = await replica.authorized()
        await age(replica, "oauth_clients", "created_at", 7200)
        assert await store.register(fresh, 3, "")
        assert await store.find(second.key) is await store.find(third.key) is None
        assert await store.find(done.presenter.client.key) is not None, "it holds a living grant"


class TestRetention:
    async def test_what_has_expired_is_removed(self, replica: Replica) -> None:
        retention = OAuthRetention(replica.database)
        kept = await replica.authorized()
        gone = await replica.authorized()
        await replica.refresh(gone.presenter, gone.refresh)
        assert await retention.retire() == 0
        for table, column in (
            ("oauth_codes", "expires_at"),
            ("oauth_refresh_tokens", "expires_at"),
            ("oauth_refresh_tokens", "rotated_at"),
            ("oauth_grants", "idle_at"),
            ("oauth_clients", "created_at"),
        ):
            await age(replica, table, column, 32 * 86_400)
        fresh = "UPDATE oauth_grants SET idle_at = now() + interval '1 day' WHERE client = $1"
        await replica.database.execute(fresh, kept.presenter.client.key)
        assert await retention.retire() > 0
        assert await replica.count("oauth_codes") == 0
        assert await replica.count("oauth_refresh_tokens") == 0
        assert await replica.count("oauth_grants") == 1
        assert await replica.client_store.find(gone.presenter.client.key) is None
        assert await replica.client_store.find(kept.presenter.client.key) is not None, "never purge one that refreshes"

    async def test_a_client_of_an_operator_stays(self, replica: Replica) -> None:
        await replica.register()
        await replica.database.execute(
            "UPDATE oauth_clients SET kind = 'operator', created_at = now() - interval '1 year'"
        )
        await OAuthRetention(replica.database).retire()
        assert await replica.count("oauth_clients") == 1

    async def test_an_old_token_does_not_lead_to_its_successor_for_ever(self, replica: Replica) -> None:
        done = await replica.authorized()
        await replica.refresh(done.presenter, done.refresh)
        assert await replica.count("oauth_refresh_tokens", "sealed IS NOT NULL") == 1
        await age(replica, "oauth_refresh_tokens", "rotated_at", 301)
        await OAuthRetention(replica.database).retire()
        assert await replica.count("oauth_refresh_tokens", "sealed IS NOT NULL") == 0


MANY = """
INSERT INTO oauth_grants (id, client, kind, client_name, scopes, resource, created_at, used_at, idle_at, ends_at)
SELECT 'g' || n, 'c' || n % 400, 'registered', '', '{mcp:read}', 'https://gateway.example.com', now(),
       now() - n * interval '1 second', now() + interval '1 day', now() + interval '9 days'
FROM generate_series(1, 20000) n;
INSERT INTO oauth_refresh_tokens (token, grant_id, expires_at, rotated_at, sealed)
SELECT sha256(n::text::bytea), 'g' || n % 20000 + 1, now() + interval '1 day',
       CASE WHEN n > 20000 THEN now() - n * interval '1 second' END, CASE WHEN n > 20000 THEN 'x'::bytea END
FROM generate_series(1, 60000) n;
INSERT INTO oauth_codes (code, client, kind, client_name, redirect_uri, challenge, scopes, resource, expires_at)
SELECT sha256(n::text::bytea), 'c' || n % 400, 'registered', '', 'https://a.example', 'x', '{mcp:read}', 'x', now()
FROM generate_series(1, 20000) n;
"""
FEW_BLOCKS = 60


async def test_statements_touch_few_blocks_beside_many_grants(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without statistics."""
    await replica.database.execute(MANY)
    made = await replica.register()
    presenter = await replica.presenter(made.client_id)
    for _ in ("without statistics", "with statistics"):
        pkce = Pkce()
        with counted_blocks(monkeypatch) as blocks:
            issued = await replica.redeem(presenter, await replica.code(made.client_id, pkce), pkce)
            token = issued.refresh_token or ""
            await replica.refresh(presenter, token)
            await replica.refresh(presenter, token)
            await replica.presenter(made.client_id)
        blocks.check(FEW_BLOCKS)
        await replica.database.execute("ANALYZE")


async def test_while_the_database_is_away_nothing_is_called_invalid(database_url: str) -> None:
    database = Database(database_url, min_size=1, max_size=2, statement_timeout=20)
    await database.open()
    replica = Replica(database)
    done: Redeemed = await replica.authorized()
    await database.close()
    with pytest.raises(Unavailable):
        await replica.presenter(done.presenter.client_id)
    with pytest.raises(Unavailable):
        await replica.refresh(done.presenter, done.refresh)
    with pytest.raises(Unavailable):
        await replica.redeem(done.presenter, done.code, done.pkce)

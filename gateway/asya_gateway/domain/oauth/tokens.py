"""The token endpoint (RFC 6749, section 3.2): codes, refresh tokens and clients' own credentials become access
tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from asya_gateway.domain.oauth.clients import CREDENTIALS_GRANT, REFRESH_GRANT, Client
from asya_gateway.domain.oauth.errors import (
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    UnauthorizedClient,
)
from asya_gateway.domain.oauth.granting import grantable, included, read_scope
from asya_gateway.domain.oauth.grants import Grant, Person, RefreshToken
from asya_gateway.domain.oauth.pkce import challenge_of
from asya_gateway.domain.oauth.ports import AccessTokens, Ended, GrantStore, NewGrant, People, Proof, SuccessorSealer
from asya_gateway.domain.oauth.redirects import LONGEST_URI
from asya_gateway.domain.oauth.resources import Resources
from asya_gateway.domain.oauth.rules import GRACE_SECONDS, OAuthRules
from asya_gateway.domain.oauth.secrets import LONGEST_SECRET, REFRESH_PREFIX, digest, new_grant_id, new_secret

UNKNOWN = "the refresh token is unknown, expired or revoked, or was issued to another client"


@dataclass(frozen=True, slots=True)
class Issued:
    """A successful answer (RFC 6749, section 5.1)."""

    access_token: str = field(repr=False)
    expires_in: int
    scopes: frozenset[str]
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Presenter:
    """The client of a token request, which has proved itself; the id by which it calls itself, and its address."""

    client: Client
    client_id: str = field(repr=False)
    source: str = ""


class Tokens:
    """Issues tokens. `people` is asked what a person holds, if there is a login."""

    def __init__(
        self,
        grants: GrantStore,
        access: AccessTokens,
        sealing: SuccessorSealer,
        rules: OAuthRules,
        *,
        people: People | None = None,
    ) -> None:
        self._grants, self._access, self._sealing = grants, access, sealing
        self._rules, self._people = rules, people
        self._resources = Resources(rules.issuer)

    async def of_code(self, by: Presenter, parameters: Mapping[str, str]) -> Issued:
        """RFC 6749, section 4.1.3, with RFC 7636, section 4.5. Raises InvalidRequest, InvalidGrant, InvalidTarget,
        Unavailable."""
        code, resource = digest(_required(parameters, "code")), parameters.get("resource")
        try:
            proof, audience = _proof(by.client, parameters), self._resources.canonical(resource)
        except OAuthError:
            challenge = challenge_of(parameters.get("code_verifier", ""))
            await self._grants.presented_again(code, by.client.key, challenge, by.source)
            raise
        scopes = frozenset[str]()
        pending = await self._grants.pending(code, proof)
        if pending is not None:
            # What can be refused, or cannot be known now, comes before the code is used up.
            audience = self._resources.narrowed(pending.resource, resource)
            scopes = await self._held(pending.scopes, pending.person)
        refresh = new_secret(REFRESH_PREFIX) if REFRESH_GRANT in by.client.grant_types else None
        grant = await self._grants.redeem(code, proof, self._new_grant(by, refresh))
        if pending is None or grant is None:
            raise InvalidGrant("the code is unknown, expired or used, or its client, redirect_uri or verifier differs")
        return await self._issued(by, grant, audience, scopes, refresh)

    async def of_refresh(self, by: Presenter, parameters: Mapping[str, str]) -> Issued:
        """RFC 6749, section 6. Raises InvalidRequest, InvalidGrant, InvalidScope, InvalidTarget, Unavailable."""
        token = _required(parameters, "refresh_token")
        found = await self._grants.presented(digest(token))
        if found is None or found.grant.client != by.client.key:
            raise InvalidGrant(UNKNOWN)
        grant = found.grant
        if found.rotated is not None and found.rotated > GRACE_SECONDS:
            # RFC 9700, section 4.14.2: either the client or a thief has an old token, and which one is not known.
            await self._grants.end(grant.id, Ended.REFRESH_REPLAYED, by.client.key, by.source)
            raise InvalidGrant(UNKNOWN)
        audience = self._resources.narrowed(grant.resource, parameters.get("resource"))
        held = await self._held(grant.scopes, grant.person)
        scopes = _narrowed(grant, held, read_scope(parameters.get("scope")))
        return await self._issued(by, grant, audience, scopes, await self._successor(token, found))

    async def of_client(self, by: Presenter, parameters: Mapping[str, str]) -> Issued:
        """RFC 6749, section 4.4: for a client with a secret, which acts for itself. Raises UnauthorizedClient,
        InvalidScope, InvalidTarget, Unavailable."""
        client = by.client
        if CREDENTIALS_GRANT not in client.grant_types or client.secret is None:
            raise UnauthorizedClient("expected a client that was made with a secret (`asya auth client create`)")
        scopes = grantable(client, read_scope(parameters.get("scope")))
        audience = self._resources.canonical(parameters.get("resource"))
        grant = await self._grants.grant_to(client, scopes, audience, self._new_grant(by, None))
        return await self._issued(by, grant, audience, scopes, None)

    async def revoke(self, by: Presenter, token: str) -> None:
        """RFC 7009, section 2: the token, and with it everything of its grant. One that is unknown or expired is
        revoked already (section 2.2). Raises InvalidGrant for a token of another client, Unavailable."""
        if found := await self._grants.presented(digest(token)):
            grant_id, client = found.grant.id, found.grant.client
        elif claimed := self._access.grant_in(token):
            grant_id, client = claimed
        else:
            return
        if client != by.client.key:
            raise InvalidGrant("the token was issued to another client")
        await self._grants.end(grant_id, Ended.REVOKED, by.client.key, by.source)

    async def _held(self, approved: frozenset[str], person: Person | None) -> frozenset[str]:
        """What was approved and the person holds now. Raises InvalidGrant if that is nothing, Unavailable.

        A grant from the time before persons had to log in, or after they could, is good no longer.
        """
        if person is None and self._people is None:
            return approved
        if person is None or self._people is None:
            raise InvalidGrant("persons log in differently now: a new authorization is needed")
        held = await self._people.scopes_of(person)
        scopes = included(held or (), approved)
        if not scopes:
            raise InvalidGrant("the person may not use this gateway")
        return scopes

    async def _successor(self, token: str, found: RefreshToken) -> str:
        if found.rotated is None:
            successor = new_secret(REFRESH_PREFIX)
            sealed = self._sealing.seal(token, successor)
            if await self._grants.rotate(digest(token), digest(successor), sealed, self._rules.refresh_idle):
                return successor
        # Somebody else was first: in another place of the same client, or a moment ago.
        return await self._newest(token, found.grant.id)

    async def _newest(self, token: str, grant_id: str) -> str:
        line = await self._grants.line(grant_id, GRACE_SECONDS * 2)
        for _ in line:
            current = digest(token)
            if current not in line:
                break
            sealed = line[current]
            if sealed is None:
                return token
            successor = self._sealing.unseal(token, sealed)
            if successor is None:
                break
            token = successor
        raise InvalidGrant(UNKNOWN)

    async def _issued(
        self, by: Presenter, grant: Grant, audience: str, scopes: frozenset[str], refresh: str | None
    ) -> Issued:
        cap = None if grant.person is None or self._people is None else await self._people.cap_of(grant.person)
        token, seconds = self._access.issue(grant, by.client_id, audience, scopes, cap)
        return Issued(token, seconds, scopes, refresh)

    def _new_grant(self, by: Presenter, refresh: str | None) -> NewGrant:
        """Without a refresh token, a grant lives as long as its one access token."""
        rules = self._rules
        if refresh is None:
            return NewGrant(new_grant_id(), None, rules.token_ttl, rules.token_ttl, by.source)
        return NewGrant(new_grant_id(), digest(refresh), rules.refresh_idle, rules.refresh_age, by.source)


def _required(parameters: Mapping[str, str], name: str) -> str:
    found = parameters.get(name)
    if found is None:
        raise InvalidRequest(f"{name}: expected the parameter once")
    if len(found) > LONGEST_SECRET:
        raise InvalidGrant(f"{name}: expected at most {LONGEST_SECRET} characters")
    return found


def _proof(client: Client, parameters: Mapping[str, str]) -> Proof:
    redirect_uri = parameters.get("redirect_uri")
    verifier = parameters.get("code_verifier")
    if redirect_uri is None:
        raise InvalidRequest("redirect_uri: expected the one of the authorization request")
    if len(redirect_uri) > LONGEST_URI or not (redirect_uri.isascii() and redirect_uri.isprintable()):
        raise InvalidGrant("redirect_uri: expected the one of the authorization request")
    if verifier is None:
        raise InvalidRequest("code_verifier: expected the parameter once")
    challenge = challenge_of(verifier)
    if challenge is None:
        raise InvalidGrant("code_verifier: expected 43 to 128 unreserved characters")
    return Proof(client.key, redirect_uri, challenge)


def _narrowed(grant: Grant, held: frozenset[str], asked: frozenset[str] | None) -> frozenset[str]:
    """RFC 6749, section 6: a refresh asks for no scope that was not granted."""
    if asked is None:
        return held
    if not asked <= grant.scopes | held:
        raise InvalidScope("expected no scopes beyond the granted ones")
    scopes = included(held, asked)
    if not scopes:
        raise InvalidScope("nothing of it is granted now")
    return scopes

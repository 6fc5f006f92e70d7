"""The authorization request (RFC 6749, section 4.1.1, with RFC 7636 and RFC 8707), from its parameters to a code."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from asya_gateway.domain.oauth.clients import CODE_GRANT, Client, ClientKind
from asya_gateway.domain.oauth.errors import (
    InteractionRequired,
    InvalidRequest,
    InvalidTarget,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from asya_gateway.domain.oauth.granting import asked_of_person, grantable, read_scope
from asya_gateway.domain.oauth.grants import Approved, Person
from asya_gateway.domain.oauth.pkce import METHOD, is_challenge
from asya_gateway.domain.oauth.ports import GrantStore
from asya_gateway.domain.oauth.redirects import LONGEST_URI, is_registered, leads_home, with_parameters
from asya_gateway.domain.oauth.registering import Clients
from asya_gateway.domain.oauth.resources import Resources
from asya_gateway.domain.oauth.rules import CODE_SECONDS, OAuthRules
from asya_gateway.domain.oauth.secrets import CODE_PREFIX, digest, new_secret

LONGEST_STATE = 4096

Parameters = Mapping[str, list[str]]
"""The parameters of a request, each with all values that it was sent with."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the answer goes: a redirect URI of this client. Before it is known, errors are told to the person only
    (RFC 6749, section 4.1.2.1)."""

    client: Client
    redirect_uri: str
    state: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that can be granted. `scopes` are what the client gets without a login, or what a person is asked
    for."""

    target: Target
    challenge: str
    scopes: frozenset[str]
    resource: str

    def approved(self, person: Person | None = None) -> Approved:
        """What a code for this request stands for."""
        target = self.target
        return Approved(target.client, target.redirect_uri, self.challenge, self.scopes, self.resource, person)


class Authorizing:
    """Reads authorization requests and issues codes. With `login`, a person approves each."""

    def __init__(self, clients: Clients, grants: GrantStore, rules: OAuthRules, *, login: bool = False) -> None:
        self._clients, self._grants, self._rules = clients, grants, rules
        self._resources = Resources(rules.issuer)
        self.login = login

    async def target(self, parameters: Parameters, source: str = "") -> Target:
        """The target of a request from this address. Raises InvalidRequest and InvalidClient, neither of which may be
        redirected, TooManyRequests, Overloaded, Unavailable."""
        client_id = _one(parameters, "client_id")
        redirect_uri = _one(parameters, "redirect_uri")
        if client_id is None:
            raise InvalidRequest("client_id: expected the parameter once")
        client = await self._clients.authorizing(client_id, source)
        if redirect_uri is None:
            raise InvalidRequest("redirect_uri: expected the parameter once")
        if len(redirect_uri) > LONGEST_URI or not is_registered(redirect_uri, client.redirect_uris):
            raise InvalidRequest("redirect_uri: expected one that the client registered")
        return Target(client, redirect_uri, _state(parameters))

    def read(self, target: Target, parameters: Parameters) -> AuthorizationRequest:
        """Raises an OAuthError that is sent to the target."""
        single = singles(parameters)
        _check_kind(target.client, single)
        if single.get("prompt") == "none" and self.login:
            raise InteractionRequired("a person has to approve each authorization")
        asked = read_scope(single.get("scope"))
        return AuthorizationRequest(
            target=target,
            challenge=_challenge(single),
            scopes=asked_of_person(target.client, asked) if self.login else grantable(target.client, asked),
            resource=self._resources.canonical(single.get("resource")),
        )

    async def grant(self, request: AuthorizationRequest, person: Person | None = None) -> str:
        """The redirect that carries a new code to the client. Raises Unavailable."""
        code = new_secret(CODE_PREFIX)
        await self._grants.keep_code(digest(code), request.approved(person), CODE_SECONDS)
        return self.redirect(request.target, code=code)

    def trusts(self, target: Target) -> bool:
        """Whether a browser may be sent to the target with an error although no person has agreed to it (RFC 9700,
        section 4.11.2): somebody vouches for the client, an operator or whoever has the registration token, or it is a
        program on the person's own machine. Otherwise anybody could register a page and have the gateway send people to
        it. Without a login codes are sent without asking as well, so that there every target is trusted."""
        vouched = target.client.kind is ClientKind.OPERATOR or bool(self._rules.registration_token)
        return vouched or not self.login or leads_home(target.redirect_uri)

    def redirect(self, target: Target, **parameters: str) -> str:
        """The URI of an answer, with the state, and with the issuer so that a client of several servers knows who
        answers (RFC 9207, section 2)."""
        state = {} if target.state is None else {"state": target.state}
        return with_parameters(target.redirect_uri, {**parameters, **state, "iss": self._rules.issuer})


def _one(parameters: Parameters, name: str) -> str | None:
    """The value of a parameter that is not repeated. An empty one counts as absent (RFC 6749, section 3.1)."""
    found = parameters.get(name, [])
    return found[0] if len(found) == 1 and found[0] else None


def _state(parameters: Parameters) -> str | None:
    found = parameters.get("state")
    if found is None:
        return None
    if len(found) > 1 or len(found[0]) > LONGEST_STATE or not (found[0].isascii() and found[0].isprintable()):
        # An answer needs the state, so that this one is told to the person.
        raise InvalidRequest(f"state: expected at most {LONGEST_STATE} visible characters, once")
    return found[0]


def singles(parameters: Parameters) -> dict[str, str]:
    """RFC 6749, section 3.1: parameters must not be included more than once. Raises InvalidRequest, InvalidTarget."""
    for name, values in parameters.items():
        if len(values) > 1 and name == "resource":
            raise InvalidTarget("expected one resource, because a token of this server has one audience")
        if len(values) > 1:
            raise InvalidRequest(f"expected each parameter once, {_quoted(name)} is repeated")
    return {name: values[0] for name, values in parameters.items() if values[0]}


def _quoted(name: str) -> str:
    return "a parameter" if len(name) > 64 or not (name.isascii() and name.isidentifier()) else name


def _check_kind(client: Client, parameters: Mapping[str, str]) -> None:
    if "request" in parameters:
        raise RequestNotSupported("request: expected plain parameters")
    if "request_uri" in parameters:
        raise RequestUriNotSupported("request_uri: expected plain parameters")
    response_type = parameters.get("response_type")
    if response_type is None:
        raise InvalidRequest("response_type: expected code")
    if response_type != "code":
        raise UnsupportedResponseType("response_type: expected code")
    if parameters.get("response_mode", "query") != "query":
        raise InvalidRequest("response_mode: expected query")
    if CODE_GRANT not in client.grant_types:
        raise UnauthorizedClient("this client may not use the authorization code grant")


def _challenge(parameters: Mapping[str, str]) -> str:
    """RFC 7636, sections 4.3 and 4.4.1. A missing method would be `plain`."""
    challenge = parameters.get("code_challenge")
    if challenge is None:
        raise InvalidRequest("code_challenge: expected a challenge (PKCE is required)")
    if parameters.get("code_challenge_method") != METHOD:
        raise InvalidRequest(f"code_challenge_method: expected {METHOD}")
    if not is_challenge(challenge):
        raise InvalidRequest("code_challenge: expected a SHA-256 in base64url, 43 characters")
    return challenge

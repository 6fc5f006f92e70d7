"""The programs that ask for tokens."""

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum

from asya_gateway.domain.oauth.secrets import digest

CODE_GRANT = "authorization_code"
REFRESH_GRANT = "refresh_token"
CREDENTIALS_GRANT = "client_credentials"
GRANT_TYPES = (CODE_GRANT, REFRESH_GRANT, CREDENTIALS_GRANT)

LONGEST_CLIENT_ID = 2048
LONGEST_NAME = 128
MOST_REDIRECT_URIS = 16


class ClientKind(StrEnum):
    """How a client became known."""

    REGISTERED = "registered"
    """By itself (RFC 7591). Whoever knows its id is the client."""
    METADATA = "metadata"
    """Its id is the URL of a document that describes it, the same for everybody who uses it."""
    OPERATOR = "operator"
    """`asya auth client create`. Only it gets more than `mcp:read` and `mcp:invoke` without a person's login."""


@dataclass(frozen=True, slots=True)
class Client:
    """A known client. `key` stands for its id in tables, logs and the ids of principals."""

    key: str
    kind: ClientKind
    name: str
    redirect_uris: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    """What it asks for if a request names no scopes; without a login also the most that it gets."""
    grant_types: frozenset[str] = frozenset({CODE_GRANT, REFRESH_GRANT})
    secret: bytes | None = field(default=None, repr=False)
    """The digest of its secret; None for a public client (RFC 6749, section 2.1)."""
    public_id: str | None = None
    """Its id, unless that is a secret."""

    def is_proved_by(self, secret: str | None) -> bool:
        """Whether this is the client's secret; a public client has none, and presents none."""
        if self.secret is None:
            return secret is None
        return secret is not None and hmac.compare_digest(digest(secret), self.secret)


def key_of(client_id: str) -> str:
    """The key of a client id: half of its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(client_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_document_url(client_id: str) -> bool:
    """Whether the id is the URL of a metadata document."""
    return client_id.startswith("https://")


def client_of_document(url: str) -> Client:
    """What is known of a metadata client without its document: enough to redeem what was issued to it."""
    return Client(key_of(url), ClientKind.METADATA, url, public_id=url)

"""The numbers and names of one authorization server."""

from collections.abc import Collection
from dataclasses import dataclass, field

from asya_gateway.domain.oauth.redirects import DEFAULT_SCHEMES

CODE_SECONDS = 300.0
"""RFC 6749, section 4.1.2, recommends ten minutes at most."""
GRACE_SECONDS = 60.0
"""How long a rotated refresh token still gets its successor: clients refresh in several places at the same time, and
repeat a request whose answer was lost."""
REGISTRATION_SECONDS = 30 * 86_400.0
"""How long a registration without a living refresh token is kept."""
MOST_GRANTS = 1_000
"""Living grants of one client; the least recently used ones end first, of persons with several."""
MOST_CLIENTS = 100_000


@dataclass(frozen=True, slots=True)
class OAuthRules:
    """`issuer` is a URL without a last slash. Times are in seconds."""

    issuer: str
    token_ttl: float = 3600.0
    refresh_idle: float = 30 * 86_400.0
    refresh_age: float = 180 * 86_400.0
    redirect_schemes: Collection[str] = frozenset(DEFAULT_SCHEMES)
    registration_token: str = field(default="", repr=False)
    """Empty: whoever reaches the gateway may register."""
    client_hosts: Collection[str] = frozenset()
    """Hosts of client metadata documents that are accepted although registration needs a token."""

    def accepts_documents_of(self, host: str) -> bool:
        """Whether clients may be described by documents of this host."""
        return not self.registration_token or host in self.client_hosts

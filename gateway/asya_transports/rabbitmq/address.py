"""What an AMQP URL says, for the connection that is made without aiormq (which reads the same URL)."""

import ssl
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """Host, credentials, virtual host, TLS."""

    host: str
    port: int
    user: str
    password: str
    vhost: str
    tls: ssl.SSLContext | None
    mechanism: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `amqp[s]://user:password@host:port/vhost?cafile=&certfile=&keyfile=&no_verify_ssl=&auth=`.

        Raises OSError for certificates that cannot be read.
        """
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        secure = parts.scheme == "amqps"
        return cls(
            host=parts.hostname or "localhost",
            port=parts.port or (5671 if secure else 5672),
            user=unquote(parts.username or "guest"),
            password=unquote(parts.password or "guest"),
            vhost=unquote(parts.path[1:]) or "/",
            tls=_context(query) if secure else None,
            mechanism=query.get("auth", "plain").upper(),
        )

    def response(self) -> str:
        """The SASL response of the mechanism."""
        return "" if self.mechanism == "EXTERNAL" else f"\0{self.user}\0{self.password}"


def _context(query: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=query.get("cafile"), capath=query.get("capath"))
    if "certfile" in query:
        context.load_cert_chain(query["certfile"], query.get("keyfile"))
    if query.get("no_verify_ssl", "0") != "0":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

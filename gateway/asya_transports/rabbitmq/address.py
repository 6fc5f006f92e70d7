"""The parts of an AMQP URL, for the connection without aiormq, and the TLS settings for both connections."""

import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """Host, credentials, virtual host, TLS."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    vhost: str
    tls: ssl.SSLContext | None
    mechanism: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `amqp[s]://user:password@host:port/vhost?cafile=&capath=&certfile=&keyfile=&no_verify_ssl=&auth=`.

        Raises OSError naming the files if certificates cannot be read.
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
    named = {name: query[name] for name in ("cafile", "capath", "certfile", "keyfile") if name in query}
    try:
        context = ssl.create_default_context(cafile=named.get("cafile"), capath=named.get("capath"))
        if "certfile" in named:
            context.load_cert_chain(named["certfile"], named.get("keyfile"))
    except OSError as error:
        # The library's errors do not name the file, neither for a missing nor for an invalid one.
        files = ", ".join(f"{name}={path}" for name, path in named.items())
        raise OSError(f"cannot read the certificates of the broker's URL ({files}): {error}") from error
    if query.get("no_verify_ssl", "0") != "0":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

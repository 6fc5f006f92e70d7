"""What tokens are issued for: the `resource` of a request (RFC 8707), which becomes the token's audience."""

from urllib.parse import urlsplit

from asya_crds.flow_sets import check_set_name
from asya_gateway.domain.oauth.errors import InvalidTarget

PATHS = ("/mcp", "/mcp/sse", "/a2a")
"""Routes with metadata of their own (RFC 9728), for which a token can be issued alone."""
AUTHORIZE, TOKEN, METADATA = "/oauth/authorize", "/oauth/token", "/.well-known/oauth-authorization-server"
"""Where the authorization server is, below its issuer (RFC 6749, section 3; RFC 8414, section 3)."""
SETS = "/mcp/"
"""Before the name of a tool set, which is such a route, too. Whether the set exists makes no difference."""
LONGEST_RESOURCE = 2048


class Resources:
    """The resources of the gateway at `issuer`: its origin, and some paths of it."""

    def __init__(self, issuer: str) -> None:
        self.origin = issuer.rstrip("/")
        self._paths: dict[str, str | None] = {self.origin: None, **{self.origin + path: path for path in PATHS}}
        self._known = {_lowered(audience): audience for audience in self._paths}

    def canonical(self, resource: str | None) -> str:
        """The audience of a requested resource; without a request, the whole gateway. Scheme and host are compared
        without case, and one trailing slash makes no other resource. Raises InvalidTarget."""
        if resource is None:
            return self.origin
        lowered = _lowered(resource[:-1] if resource.endswith("/") else resource)
        found = self._known.get(lowered)
        if found is not None:
            return found
        if self._set(lowered, _lowered(self.origin)) is None:
            raise InvalidTarget(f"expected {self.origin}, alone or with {', '.join(PATHS)}, or a tool set below /mcp")
        return self.origin + lowered[len(self.origin) :]

    def knows(self, audience: object) -> bool:
        """Whether tokens with this audience are issued here."""
        return isinstance(audience, str) and (audience in self._paths or self._set(audience, self.origin) is not None)

    def path(self, audience: str) -> str | None:
        """The path that a token of this audience opens; None for the origin, which opens every one."""
        return self._paths[audience] if audience in self._paths else self._set(audience, self.origin)

    def _set(self, resource: str, origin: str) -> str | None:
        """The path of the tool set that this resource is; None if it is none."""
        path = resource.removeprefix(origin)
        name = path.removeprefix(SETS)
        if path == resource or name == path:
            return None
        try:
            check_set_name(name)
        except ValueError:
            return None
        return path

    def narrowed(self, granted: str, resource: str | None) -> str:
        """The audience of a token of a grant for `granted`, if the token request names a resource too: the same, or
        one below it. Raises InvalidTarget."""
        if resource is None:
            return granted
        wanted = self.canonical(resource)
        if wanted == granted or wanted.startswith(f"{granted}/"):
            return wanted
        raise InvalidTarget("expected the resource that was authorized, or one below it")


def _lowered(resource: str) -> str:
    """The URI with scheme and host in lower case (RFC 3986, section 6.2.2.1). Raises InvalidTarget."""
    if len(resource) > LONGEST_RESOURCE or not resource.isascii() or not resource.isprintable():
        raise InvalidTarget("expected an absolute URI")
    try:
        parts = urlsplit(resource)
    except ValueError:
        raise InvalidTarget("expected an absolute URI") from None
    head = f"{parts.scheme}://{parts.netloc}"
    return head.lower() + resource[len(head) :]

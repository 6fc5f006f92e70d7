"""Refusals in OAuth's own words. Each has the code of its RFC; the protocol adds HTTP's part."""

from typing import ClassVar


class OAuthError(Exception):
    """Base of the refusals. The description is for developers, and contains no part of a secret."""

    code: ClassVar[str]

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description


class InvalidRequest(OAuthError):
    """A parameter is missing, malformed or repeated (RFC 6749, sections 4.1.2.1 and 5.2)."""

    code = "invalid_request"


class InvalidClient(OAuthError):
    """The client is unknown, or did not prove who it is (RFC 6749, section 5.2)."""

    code = "invalid_client"

    def __init__(self, description: str = "the client is unknown or did not prove who it is") -> None:
        super().__init__(description)


class InvalidGrant(OAuthError):
    """The code or refresh token is unknown, expired, revoked, or of another client or redirect URI (RFC 6749,
    section 5.2)."""

    code = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """The client may not use this grant type or response type (RFC 6749, sections 4.1.2.1 and 5.2)."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """RFC 6749, section 5.2."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """RFC 6749, section 4.1.2.1."""

    code = "unsupported_response_type"


class InvalidScope(OAuthError):
    """The scope is malformed, or nothing of it can be granted (RFC 6749, section 5.2)."""

    code = "invalid_scope"


class AccessDenied(OAuthError):
    """The person or the server said no (RFC 6749, section 4.1.2.1)."""

    code = "access_denied"


class InvalidTarget(OAuthError):
    """The resource is not one that this server issues tokens for (RFC 8707, section 2)."""

    code = "invalid_target"


class InvalidRedirectUri(OAuthError):
    """A redirect URI that may not be registered (RFC 7591, section 3.2.2)."""

    code = "invalid_redirect_uri"


class InvalidClientMetadata(OAuthError):
    """A client's metadata that cannot be registered (RFC 7591, section 3.2.2)."""

    code = "invalid_client_metadata"


class InvalidToken(OAuthError):
    """The registration token is missing or wrong (RFC 6750, section 3.1)."""

    code = "invalid_token"


class RequestNotSupported(OAuthError):
    """Request objects are not read (OpenID Connect Core 1.0, section 3.1.2.6)."""

    code = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """The same for those at a URI."""

    code = "request_uri_not_supported"


class InteractionRequired(OAuthError):
    """The client wants no page to be shown, and a login cannot do without one (OpenID Connect Core 1.0, section
    3.1.2.6)."""

    code = "interaction_required"

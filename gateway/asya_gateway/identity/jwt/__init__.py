"""Tokens of other issuers: JWTs (RFC 7519) that are verified with the keys an issuer publishes (RFC 7517)."""

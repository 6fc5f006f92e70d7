"""The rules of the authorization server: who becomes a client, what a client may be granted, and how long it lasts.

OAuth 2.1 as far as MCP uses it: authorization code with PKCE, refresh tokens, client credentials.
"""

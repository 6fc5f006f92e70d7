"""The guarded HTTP client: every request to a URL that the gateway's own code did not choose goes through it."""

"""Keys, revocations and the audit in Postgres."""

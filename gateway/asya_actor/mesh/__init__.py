"""Speaking with the gateway's mesh routes: reports that arrive however long it takes, claims, live events."""

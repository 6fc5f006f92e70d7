"""The client side of the gateway's mesh routes: reports that are repeated until accepted, claims, live events."""

"""The authorization server's routes. Like every protocol, they decode, call the domain and render."""

"""Sessions of revisions with a handshake: their ids, their events, and what the gateway asks their clients."""

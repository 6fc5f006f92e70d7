"""How messages of sessions arrive: streamable HTTP after a handshake, its standalone streams, and HTTP+SSE."""

"""Who calls and what they may do. Nothing here knows how a caller proves who it is."""

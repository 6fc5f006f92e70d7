"""Push notifications: their configurations in every dialect, and the channel that delivers them."""

"""Identity services: who issues tokens, and what else is known of a person."""

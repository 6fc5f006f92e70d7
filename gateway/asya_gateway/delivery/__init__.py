"""From the outbox to the queue system, confirmed; and back into the outbox what could not go out."""

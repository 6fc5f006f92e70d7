"""Delivery from the outbox to the queue system, with confirmation. Envelopes that could not be sent return to the
outbox."""

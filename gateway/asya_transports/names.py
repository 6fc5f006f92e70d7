"""Names of queues, which existing sidecars, autoscalers and consoles expect to the letter."""

DEAD_LETTERS = "dlq"
"""Stands in the place of the actor in the name of the namespace's dead-letter queue."""


def queue_name(namespace: str, actor: str) -> str:
    """`asya-{namespace}-{actor}`."""
    return f"asya-{namespace}-{actor}"

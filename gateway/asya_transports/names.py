"""Names of queues, which existing sidecars, autoscalers and consoles expect to the letter."""

from asya_crds.naming import DEAD_LETTERS as DEAD_LETTERS


def queue_name(namespace: str, actor: str) -> str:
    """`asya-{namespace}-{actor}`."""
    return f"asya-{namespace}-{actor}"

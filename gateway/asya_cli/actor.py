"""`asya actor`: one worker, or the crew."""


def actor() -> None:
    """Placeholder until the worker is there."""

"""Events that the layers report. Standard library only, because the domain reports too."""

from asya_gateway.telemetry.spans import Spans

FAN_OUT = "fan-out"
"""The surface of children, which come from an actor, not from a caller."""


class Observer:
    """Ignores all events; the subclass Metrics counts them. Times are in seconds."""

    spans: Spans = Spans()

    def accepted(self, flow: str, surface: str, took: float) -> None:
        """A call is committed; `took` from its decoding to the commit."""

    def ended(self, flow: str, surface: str, status: str, took: float) -> None:
        """A task has ended; `took` from its acceptance."""

    def answered(self, route: str, method: str, status: int, took: float | None) -> None:
        """A request was answered; `took` is None for streams, whose duration is meaningless."""

    def delivered(self, channel: str, took: float) -> None:
        """An entry of a log was delivered; `took` from its being written."""

    def delivery_failed(self, channel: str, *, disabled: bool) -> None:
        """A delivery failed, and its destination is `disabled` or gets it again."""


SILENT = Observer()

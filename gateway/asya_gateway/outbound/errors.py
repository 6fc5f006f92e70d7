"""Why a request to another system gave nothing that can be used. The reasons name no secret and no address."""


class OutboundError(Exception):
    """Base of these errors; `reason` completes "the request failed: …"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TargetRefused(OutboundError):
    """The URL, or the address that its host has, may not be reached. Nothing was sent."""


class NoAnswer(OutboundError):
    """The target could not be reached, did not answer in time, or does not speak HTTP."""


class AnswerRefused(OutboundError):
    """There was an answer that is not accepted: a redirect, too many bytes, an unknown encoding."""

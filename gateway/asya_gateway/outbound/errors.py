"""Why a request to another system gave nothing that can be used. The reasons name no secret and no address, and what
they say does not depend on what there is in the gateway's network; they name the setting, for whoever operates it."""

EXPECTED = "expected a public one, or one that ASYA_OUTBOUND_ALLOW lists"


class OutboundError(Exception):
    """Base of these errors; `reason` completes "the request failed: …"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TargetRefused(OutboundError):
    """The URL, or the address that its host has, may not be reached. Nothing was sent."""


class AddressRefused(TargetRefused):
    """The address that the URL spells out is neither public nor listed."""

    def __init__(self) -> None:
        super().__init__(f"its address may not be reached: {EXPECTED}")


class NoAnswer(OutboundError):
    """The target could not be reached, did not answer in time, or does not speak HTTP."""


class NameNotReached(NoAnswer):
    """The target's host name has no address, or none that may be reached. To whoever chose the URL these are one and
    the same, or the names of the gateway's own network could be found out. Nothing was sent."""

    def __init__(self) -> None:
        super().__init__(f"its host name was not found, or has no address that may be reached: {EXPECTED}")


class AnswerRefused(OutboundError):
    """There was an answer that is not accepted: a redirect, too many bytes, an unknown encoding."""

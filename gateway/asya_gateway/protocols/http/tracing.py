"""The caller's trace context for the envelope (W3C Trace Context, sections 3.2 and 3.3)."""

import re

from multidict import CIMultiDictProxy

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[\x21-\x7e]*)?")
_MEMBER = re.compile(
    r"(?:[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}|[a-z][a-z0-9_\-*/]{0,255})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
MAX_MEMBERS = 32
MAX_TRACESTATE = 512
"""Characters that every vendor must propagate. A longer tracestate is dropped rather than cut."""


def trace_headers(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """`traceparent` and, only with a valid one, `tracestate`, for an envelope's headers.

    Invalid ones are dropped silently, as the recommendation requires; they never fail a request.
    """
    if "traceparent" not in headers:
        return {}
    parents = headers.getall("traceparent")
    if len(parents) != 1 or not is_traceparent(parents[0]):
        return {}
    state = combined_tracestate(headers.getall("tracestate", []))
    return {"traceparent": parents[0], **({"tracestate": state} if state else {})}


def is_traceparent(value: str) -> bool:
    """Whether this is a traceparent of version 00, or of a later version in the parts that version 00 defines."""
    match = _TRACEPARENT.fullmatch(value)
    if match is None:
        return False
    version, trace_id, parent_id, rest = match.groups()
    if version == "ff" or (version == "00" and rest is not None):
        return False
    return trace_id.strip("0") != "" and parent_id.strip("0") != ""


def combined_tracestate(values: list[str]) -> str | None:
    """The members of all tracestate headers in order, or None if any of them is invalid."""
    members = [member for value in values for part in value.split(",") if (member := part.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    text = ",".join(members)
    if len(members) > MAX_MEMBERS or len(keys) != len(members) or len(text) > MAX_TRACESTATE:
        return None
    return text if all(_MEMBER.fullmatch(member) for member in members) else None

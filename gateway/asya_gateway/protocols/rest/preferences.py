"""The Prefer header (RFC 7240): how long a caller will wait."""

import re

from multidict import CIMultiDictProxy

_WAIT = re.compile(r'\s*wait\s*=\s*(?:(\d{1,9})|"(\d{1,9})")\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)


def wait_seconds(headers: CIMultiDictProxy[str], cap: float) -> float | None:
    """Seconds of `wait=N`, at most `cap`; None without it. The first one counts, and invalid preferences are ignored
    (RFC 7240, section 2)."""
    if "Prefer" not in headers:
        return None
    for value in headers.getall("Prefer"):
        for preference in value.split(","):
            if match := _WAIT.fullmatch(preference):
                return min(cap, float(match[1] or match[2]))
    return None

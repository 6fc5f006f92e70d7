"""The header with which a caller can repeat a request safely."""

from multidict import CIMultiDictProxy

from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.idempotency import LONGEST_KEY, is_key

IDEMPOTENCY_KEY = "Idempotency-Key"


def idempotency_key(headers: CIMultiDictProxy[str]) -> str | None:
    """The caller's key, None without the header. Raises InvalidInput."""
    if IDEMPOTENCY_KEY not in headers:
        return None
    values = headers.getall(IDEMPOTENCY_KEY)
    if len(values) > 1:
        raise InvalidInput("expected the header once", field=IDEMPOTENCY_KEY)
    if not is_key(values[0]):
        raise InvalidInput(f"expected 1 to {LONGEST_KEY} visible ASCII characters", field=IDEMPOTENCY_KEY)
    return values[0]

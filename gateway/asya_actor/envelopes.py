"""Reading envelopes from a queue. Large ones are decoded in another process, so that claims are renewed meanwhile."""

import logging

from asya_crds import jsontext, large_json
from asya_crds.envelope import MAX_DEPTH, Envelope, InvalidEnvelope
from asya_crds.offloading import Offload, OffloadFailed

log = logging.getLogger(__name__)

ANY_NUMBER = 2**31
"""A message from the queue is accepted whatever its number of values, because the gateway has already checked it."""


class EnvelopeReader:
    """Decodes with one other process for all actors of this process."""

    def __init__(self) -> None:
        self._offload = Offload()

    async def read(self, body: bytes) -> Envelope:
        """Read a queue message. Raises InvalidEnvelope naming the field."""
        if large_json.has_few_values(body):
            return Envelope.from_json(body)
        try:
            value = await large_json.loads(body, self._offload, max_depth=MAX_DEPTH, max_values=ANY_NUMBER)
        except jsontext.InvalidJSON as error:
            raise InvalidEnvelope(str(error)) from None
        except OffloadFailed as error:
            log.warning("a large message is decoded on the event loop: %s", error)
            return Envelope.from_json(body)
        return Envelope.from_dict(value)

    async def close(self) -> None:
        """End the decoding process."""
        await self._offload.close()

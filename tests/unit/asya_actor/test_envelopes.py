"""Large messages are read in another process, as small ones are read here."""

import pytest

from asya_actor.envelopes import EnvelopeReader
from asya_crds.envelope import Envelope, InvalidEnvelope, Route
from asya_crds.offloading import Offload


async def test_a_large_message_is_read_elsewhere_and_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = []
    run = Offload.run

    async def watched(self: Offload, function: str, *arguments: object) -> object:
        elsewhere.append(function)
        return await run(self, function, *arguments)

    monkeypatch.setattr(Offload, "run", watched)
    reader = EnvelopeReader()
    try:
        for payload in ({"text": "x"}, [[1.5, "\ud800"]] * 30_000):
            envelope = Envelope("t", Route((), "a"), payload, {"h": [1]}, {"attempt": 2})
            assert await reader.read(envelope.to_json().encode()) == envelope
        assert len(elsewhere) == 1
        with pytest.raises(InvalidEnvelope, match="id: expected"):
            await reader.read(Envelope("", Route(), [1] * 30_000).to_json().encode())
        with pytest.raises(InvalidEnvelope, match="invalid JSON"):
            await reader.read(b"[" + b"1," * 30_000)
    finally:
        await reader.close()

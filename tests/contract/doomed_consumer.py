"""A consumer for tests: takes one message, says so, and holds it until it is killed."""

import asyncio
import json
import sys

sys.path.insert(0, __file__.rsplit("/tests/", 1)[0])

from asya_transports.opening import open_transport
from tests.contract.transport_harness import settings_of


async def main() -> None:
    order = json.loads(sys.argv[1])
    transport = open_transport(settings_of(order["settings"]), order["namespace"])
    async with transport.receive(order["actor"]) as stream:
        await anext(stream)
        print("taken", flush=True)
        await asyncio.Event().wait()


asyncio.run(main())

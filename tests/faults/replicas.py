"""The api processes of a world, as endpoints of clients."""

from dataclasses import dataclass

import aiohttp

from tests.faults.world import World


@dataclass
class Replica:
    """One of them. Implements Endpoint."""

    url: str
    session: aiohttp.ClientSession


def replicas_of(world: World) -> tuple[Replica, Replica]:
    """The one that will die, and the other."""
    first, second = (Replica(world.processes[name].url, world.session) for name in ("api", "api2"))
    return first, second

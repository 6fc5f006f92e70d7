"""The pods that serve callers now."""

from asya_gateway.domain.registry import POD_PATIENCE, SERVING_MODES
from asya_gateway.storage.database import Database

_SERVING = """
SELECT count(*) FROM gateway_pods
WHERE mode = ANY ($1) AND heartbeat_at > clock_timestamp() - make_interval(secs => $2)
"""


async def serving_callers(database: Database) -> int:
    """How many pods have reported lately, in modes that callers reach. Raises Unavailable."""
    found: int = await database.fetchval(_SERVING, list(SERVING_MODES), POD_PATIENCE)
    return found

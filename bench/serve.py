"""The gateway's process as the benchmark starts it: what `asya serve` does."""

import uvloop

from asya_gateway.program import run
from asya_gateway.settings import Settings

if __name__ == "__main__":
    uvloop.run(run(Settings()))

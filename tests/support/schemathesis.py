"""schemathesis, which was not written here, as a process that ends with its test."""

import asyncio
import sys
from pathlib import Path


async def complaints(url: str, folder: Path, config: str, *options: str) -> str:
    """What it says of an application that does not keep what its /openapi.json describes; "" if it does. `folder` takes
    the configuration, schemathesis.toml, and whatever it writes; `options` are those of its command `run`."""
    file = folder / "schemathesis.toml"
    file.write_text(config)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(file), "run"),
        *(url + "/openapi.json", "--phases", "examples,coverage,fuzzing", "--max-examples", "8", *options),
        *("--request-timeout", "10", "--generation-database", "none", "--seed", "7", "--no-color"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        # Where the test's time is over, it would go on for minutes beside the tests that follow.
        if process.returncode is None:
            process.kill()
            await process.wait()
    return "" if process.returncode == 0 else output.decode()[-8000:] or f"ended with {process.returncode}"

"""GET /health/flows at a closed gateway: what a caller learns of flows and of mistakes in them."""

import json
from pathlib import Path
from typing import Any

import pytest

from asya_gateway.domain.identity.key_text import new_key
from tests.support.principals import bearer
from tests.support.telemetry import ready, start_watched
from tests.support.waiting import until

SCOPES = {"one": ["flow:shout:read"], "every": ["mcp:read"], "operator": ["task:any:read"], "none": ["unrelated"]}
FLOWS = """\
flows:
- {name: shout, entrypoint: a, mcp: {}}
- {name: secret, entrypoint: a, mcp: {}}
- {name: broken, entrypoint: a, mcp: {}, timeout: never}
"""


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    made = {name: new_key() for name in SCOPES}
    entries = [
        {"id": key.id, "name": name, "hash": f"sha256:{key.hash.hex()}", "scopes": SCOPES[name]}
        for name, key in made.items()
    ]
    (tmp_path / "keys.yaml").write_text(json.dumps({"keys": entries}))
    return {name: key.text for name, key in made.items()}


async def test_a_caller_is_told_of_what_it_may_read_and_nothing_else(
    database_url: str, tmp_path: Path, keys: dict[str, str]
) -> None:
    settings: dict[str, Any] = {"api_keys_file": str(tmp_path / "keys.yaml"), "config_poll_interval": 0.05}
    async with start_watched(database_url, tmp_path, **settings) as watched:
        (tmp_path / "flows.yaml").write_text(FLOWS)
        await ready(watched)
        await until(lambda: "secret" in watched.program.flows.table.flows)

        async def told(name: str) -> tuple[int, list[str], list[str], bool]:
            headers = {"Accept": "application/json", **(bearer(keys[name]) if name in keys else {})}
            async with watched.session.get(f"{watched.url}/health/flows", headers=headers) as response:
                found = await response.json()
                flows, problems = ([each["name"] for each in found.get(part, [])] for part in ("flows", "problems"))
                return response.status, flows, problems, found.get("file") is not None

        assert await told("every") == (200, ["secret", "shout"], ["broken"], True)
        assert await told("one") == (200, ["shout"], [], False)
        assert await told("operator") == (200, [], [], False)
        assert await told("none") == (403, [], [], False)
        assert await told("nobody") == (401, [], [], False)

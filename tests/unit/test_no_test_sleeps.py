"""Tests wait for conditions (tests/support/waiting.py) and never sleep for a fixed time."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]
WAITING = TESTS / "support" / "waiting.py"
HANDLERS = ("handlers.py", "slow_handlers.py")
"""Code as users write it: that it takes its time is what tests need of it."""
SLEEPS = {"asyncio.sleep", "time.sleep", "sleep", "anyio.sleep"}


def sleeps_in(text: str) -> list[int]:
    """The lines of calls that sleep for longer than no time at all."""
    if "sleep" not in text:
        return []  # Parsing every file would cost seconds.
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return sorted(call.lineno for call in calls if ast.unparse(call.func) in SLEEPS and not _only_yields(call))


def _only_yields(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def test_no_test_sleeps() -> None:
    files = [path for path in sorted(TESTS.rglob("*.py")) if path != WAITING and path.name not in HANDLERS]
    found = {path.relative_to(TESTS).as_posix(): sleeps_in(path.read_text()) for path in files}
    sleeping = {name: lines for name, lines in found.items() if lines}
    assert len(files) > 400
    assert not sleeping, f"{sleeping} (lines) sleep: wait for a condition with tests.support.waiting.until"


def test_a_sleep_is_found_and_a_yield_is_ignored() -> None:
    assert sleeps_in("await asyncio.sleep(0)\nawait asyncio.sleep(0.1)\ntime.sleep(n)\nuntil(sleep)") == [2, 3]

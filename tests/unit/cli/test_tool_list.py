"""`asya tool list` says which flows are not served."""

from typing import Any

from tests.support.answers import answering
from tests.unit.cli.test_going_on import asya


def listed(served: list[str], problems: list[dict[str, Any]]) -> str:
    """What is said on standard error of these flows, none of which is a tool."""
    flows = [{"name": name, "actors": ["a"], "mcp": False} for name in served]
    answers = {"/mcp": {"result": {"tools": []}}, "/health/flows": {"flows": flows, "problems": problems}}
    with answering(answers) as url:
        done = asya("tool", "list", "--url", url)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_of_two_flows_with_one_name_the_other_is_not_served() -> None:
    taken = {"name": "hello", "source": "flows.yaml", "line": 7, "reason": "the name is taken by flows.yaml, line 2"}
    assert listed(["hello"], [taken]) == (
        "another entry named hello is not served: line 7: the name is taken by flows.yaml, line 2\n"
    )
    assert listed([], [taken]).startswith("hello is not served: line 7")


def test_a_file_that_cannot_be_read_is_named() -> None:
    problem = {"name": "", "source": "flows.yaml", "line": 4, "reason": "not YAML"}
    assert listed(["hello"], [problem]) == "flows.yaml: line 4: not YAML\n"

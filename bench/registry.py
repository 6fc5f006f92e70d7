"""Every benchmark by name. A benchmark is a function of the stage that returns its figures."""

from collections.abc import Callable, Sequence

from bench import a2a, apply, auth, calls, cascade, ends, leaks, mcp, push, reports, streams, work
from bench.figures import Figure
from bench.stage import Stage

Benchmark = Callable[[Stage], list[Figure]]

BENCHMARKS: dict[str, Benchmark] = {
    "burst": calls.burst,
    "sustained": calls.sustained,
    "sustained-postgres": calls.sustained_postgres,
    "progress": reports.progress,
    "terminal": ends.terminal,
    "streams": streams.open_streams,
    "fly": streams.fly,
    "memory": leaks.memory,
    "cascade": cascade.cascade,
    "apply": apply.apply,
    "auth": auth.auth,
    "mcp-lists": mcp.lists,
    "mcp-calls": mcp.calls,
    "mcp-sessions": mcp.sessions,
    "mcp-memory": mcp.memory,
    "push-rate": push.rate,
    "push-hanging": push.hanging,
    "a2a-send": a2a.send,
    "a2a-blocking": a2a.blocking,
    "a2a-streams": a2a.streams,
    "a2a-cards": a2a.cards,
    "a2a-lists": a2a.lists,
    "work-blocking": work.blocking,
    **{name: work.measured(story) for name, story in work.STORIES.items()},
    "publish-sqs": calls.published_cloud("sqs"),
    "publish-pubsub": calls.published_cloud("pubsub"),
    "sustained-sqs": calls.sustained_cloud("sqs"),
    "sustained-pubsub": calls.sustained_cloud("pubsub"),
    **{name: work.measured(story) for name, story in work.BESIDE_FINISHED.items()},
}


def named(words: Sequence[str]) -> list[str]:
    """The benchmarks of these names; a name also stands for all that begin with it and `-`. Raises ValueError."""
    found: list[str] = []
    for word in words:
        group = [word] if word in BENCHMARKS else [name for name in BENCHMARKS if name.startswith(f"{word}-")]
        if not group:
            raise ValueError(f"no benchmark {word}; there are {', '.join(BENCHMARKS)}")
        found += group
    return found

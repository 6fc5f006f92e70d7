"""The results of several runs of the gateway, and the figure made from them and their peer."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.figures import Figure, Target, median, paired_ratio
from bench.load import Outcome
from bench.stage import GatewayProcess, Stage

TARGET = Target(0.8)


@dataclass(slots=True)
class Watched:
    """The outcome of a load, set inside `Runs.watching`."""

    outcome: Outcome = field(default_factory=Outcome)


@dataclass(slots=True)
class Runs:
    """Latencies in ms and CPU in microseconds per request, one value for each run."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    gateway_cpu: list[float] = field(default_factory=list)
    servers_cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    load_cpu: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def watching(self, stage: Stage, gateway: GatewayProcess) -> Iterator[Watched]:
        """Measure CPU around a load, whose outcome the block sets."""
        watched = Watched()
        gateway_before, servers_before = gateway.cpu_seconds, stage.servers_cpu()
        yield watched
        outcome = watched.outcome
        requests = max(1, outcome.accepted)
        self.gateway_cpu.append((gateway.cpu_seconds - gateway_before) / requests * 1e6)
        for server, seconds in stage.servers_cpu().items():
            self.servers_cpu[server].append((seconds - servers_before.get(server, 0.0)) / requests * 1e6)
        self.load_cpu.append(outcome.cpu_seconds / max(1, outcome.ok) * 1e6)
        self.p50.append(outcome.p50_ms)
        self.p99.append(outcome.p99_ms)
        if outcome.problem:
            self.problems.append(outcome.problem)

    @property
    def notes(self) -> tuple[str, ...]:
        """Latency and CPU, which show what limits the figure."""
        parts = {"gateway": self.gateway_cpu, **self.servers_cpu, "load generator": self.load_cpu}
        shares = ", ".join(f"{name} {median(values):.0f} us" for name, values in parts.items())
        return (f"latency p50 {median(self.p50):.1f} ms, p99 {median(self.p99):.1f} ms; CPU a request: {shares}",)


def compared(
    name: str, runs: Runs, mine: Sequence[float], peer: str, others: Sequence[float], notes: Sequence[str] = ()
) -> Figure:
    """Requests per second compared with a peer; the target is at least 0.8x."""
    return Figure(
        name=name,
        value=median(mine),
        unit="/s",
        peer=peer,
        peer_value=median(others),
        ratio=paired_ratio(mine, others),
        target=TARGET,
        notes=(*runs.notes, *notes),
        broken="; ".join(runs.problems),
        details={"runs": list(mine), "peer_runs": list(others), "gateway_cpu_us": runs.gateway_cpu},
    )


def written(
    name: str, runs: Runs, mine: Sequence[float], transactions: Sequence[float], statements: Sequence[float]
) -> Figure:
    """Compared with pgbench with the same rows in one transaction; its rate with one statement is in the notes."""
    note = (
        f"{paired_ratio(mine, statements):.2f}x of pgbench's {median(statements):,.0f}/s with all rows in one "
        f"statement, a single round trip"
    )
    return compared(name, runs, mine, "pgbench, same rows", transactions, [note])

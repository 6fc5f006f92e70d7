"""Figure 3: progress reports taken per second."""

from bench.calls import CONNECTIONS, Runs
from bench.figures import Figure, Target, median, paired_ratio
from bench.load import Plan, run_load
from bench.pgbench import run_pgbench
from bench.rows import FILL, REPORTED_TASKS, report_body, report_path, report_script
from bench.stage import Stage
from tests.servers.databases import execute, query


def progress(stage: Stage) -> list[Figure]:
    """Reports of sidecars for tasks that run; each changes its task and appends an update."""
    runs = Runs()
    mine, others = stage.interleaved(lambda: _reports(stage, runs), lambda: _transactions(stage))
    return [
        Figure(
            name="progress reports",
            value=median(mine),
            unit="/s",
            peer="pgbench, same rows",
            peer_value=median(others),
            ratio=paired_ratio(mine, others),
            target=Target(0.8),
            notes=runs.notes,
            broken="; ".join(runs.problems),
            details={"runs": mine, "peer_runs": others},
        )
    ]


def _reports(stage: Stage, runs: Runs) -> float:
    effort = stage.effort
    requests = [(report_path(number), report_body()) for number in range(REPORTED_TASKS)]
    with stage.database() as url:
        execute(url, *FILL)
        with stage.gateway("mesh", url) as gateway:
            before = gateway.cpu_seconds
            outcome = run_load(Plan(gateway.port, requests, CONNECTIONS, effort.seconds, effort.warm_up))
            runs.add(outcome, gateway.cpu_seconds - before)
        appended = query(url, "SELECT count(*) FROM task_updates WHERE kind = 'progress'")
        if appended != outcome.accepted:
            runs.problems.append(f"{outcome.accepted} reports were taken, {appended} updates stand in the log")
        return outcome.per_second


def _transactions(stage: Stage) -> float:
    with stage.database() as url:
        execute(url, *FILL)
        return run_pgbench(url, report_script(), seconds=stage.effort.seconds, clients=CONNECTIONS)

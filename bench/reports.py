"""Figure 3: progress reports accepted per second."""

from functools import partial

from bench.figures import Figure
from bench.load import Plan, run_load
from bench.pgbench import Script, run_pgbench
from bench.rows import FILL, REPORTED_TASKS, report_body, report_path, report_statement, report_transaction
from bench.runs import Runs, written
from bench.stage import CONNECTIONS, Stage
from servers.databases import execute, query


def progress(stage: Stage) -> list[Figure]:
    """Sidecars' reports for running tasks; each changes its task and appends an update."""
    runs = Runs()
    peers = [partial(_transactions, stage, script) for script in (report_transaction(), report_statement())]
    mine, *others = stage.interleaved(lambda: _reports(stage, runs), *peers)
    return [written("progress reports", runs, mine, *others)]


def _reports(stage: Stage, runs: Runs) -> float:
    effort = stage.effort
    requests = [(report_path(number), report_body()) for number in range(REPORTED_TASKS)]
    with stage.database() as url:
        execute(url, *FILL)
        with stage.gateway("mesh", url) as gateway, runs.watching(stage, gateway) as watched:
            watched.outcome = run_load(Plan(gateway.port, requests, CONNECTIONS, effort.seconds, effort.warm_up))
        outcome = watched.outcome
        appended = query(url, "SELECT count(*) FROM task_updates WHERE kind = 'progress'")
        if appended != outcome.accepted:
            runs.problems.append(f"{outcome.accepted} reports were taken, {appended} updates stand in the log")
        return outcome.per_second


def _transactions(stage: Stage, script: Script) -> float:
    with stage.database() as url:
        execute(url, *FILL)
        return run_pgbench(url, script, seconds=stage.effort.seconds, clients=CONNECTIONS)

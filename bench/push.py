"""Push notifications: how many a local receiver gets in a second, and how late they come while another one hangs."""

import json
import time
from functools import partial

from bench.figures import Figure, median, percentile
from bench.load import Plan, run_load
from bench.push_receivers import Receivers
from bench.stage import Stage
from servers.databases import execute, query
from servers.processes import wait_until

BACKLOG, QUICK_BACKLOG = 5_000, 500
RECEIVERS = 10
RATE = 100.0
"""Messages in a second, each of which begins a task whose first state is pushed."""
MOST_TASKS = 900
"""An owner may have a thousand configurations of tasks that go on."""
LOCAL = {"ASYA_OUTBOUND_ALLOW": "127.0.0.0/8"}
FLOWS = "flows: [{name: pushed, entrypoint: bench-first, timeout: 1h, a2a: {}}]\n"

# What lags is there before the gateway starts, so that nothing but deliveries is measured.
FILL = """
INSERT INTO tasks (id, owner, flow, surface, status, route, last_seq, created_at, updated_at)
SELECT 'task-' || n, '', 'pushed', 'a2a', 'pending', '{{}}', 1, now(), now() FROM generate_series(1, {count}) n;
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT 'task-' || n, 1, 'created', 'pending', 0, '{{}}', now() FROM generate_series(1, {count}) n;
INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq)
SELECT 'task-' || n, 'a2a', 'x', '', '{url}', '{host}', '{{"dialect": "1.0", "contextId": "c"}}', 0
FROM generate_series(1, {count}) n
"""


def rate(stage: Stage) -> list[Figure]:
    """Deliveries in a second to one receiver, of a backlog."""
    [rates] = stage.interleaved(partial(_rate, stage))
    return [Figure("push notifications to one receiver", median(rates), "/s")]


def hanging(stage: Stage) -> list[Figure]:
    """From the log entry to its delivery, while one of ten receivers hangs."""
    flows = stage.folder / "push-flows.yaml"
    flows.write_text(FLOWS)
    with (
        stage.database() as url,
        Receivers(RECEIVERS, hanging=1) as receivers,
        stage.gateway("api", url, ASYA_CONFIG_PATH=str(flows), **LOCAL) as api,
    ):
        effort = stage.effort
        requests = [("/a2a/", _message(each)) for each in receivers.urls]
        seconds = min(effort.seconds, MOST_TASKS / RATE - effort.warm_up)
        # A process that has just started plans its statements, which is not what is measured.
        since = time.time() + effort.warm_up
        outcome = run_load(Plan(api.port, requests, 16, seconds, effort.warm_up, rate=RATE))
        hung = receivers.urls[-1].removeprefix("http://").partition("/")[0]
        waiting = f"SELECT count(*) FROM destinations WHERE host <> '{hung}' AND delivered_seq = 0"
        wait_until(lambda: query(url, waiting) == 0, 60, "not every notification arrived")
        delays = receivers.delays_after(since)
    notes = (
        f"{len(delays)} notifications at {RATE:g} tasks a second; median {1e3 * percentile(delays, 0.5):.1f} ms, "
        f"longest {1e3 * max(delays):.1f} ms",
    )
    p99 = 1e3 * percentile(delays, 0.99)
    return [Figure("push p99, one of ten receivers hangs", p99, "ms", notes=notes, broken=outcome.problem)]


def _rate(stage: Stage) -> float:
    count = QUICK_BACKLOG if stage.effort.quick else BACKLOG
    with stage.database() as url, Receivers(1) as receivers:
        [target] = receivers.urls
        host = target.removeprefix("http://").partition("/")[0]
        execute(url, *FILL.format(count=count, url=target, host=host).split(";"))
        with stage.gateway("api", url, **LOCAL):
            wait_until(lambda: len(receivers.delays) >= count, 120, "not every notification arrived")
        return receivers.per_second


def _message(url: str) -> str:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hello"}]}
    configuration = {"returnImmediately": True, "taskPushNotificationConfig": {"url": url}}
    params = {"message": message, "configuration": configuration}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params})

"""The statement that ends hops, composed for what a batch contains.

Locks are taken in one order: tasks by id (those of the reports, their children, and the children's parents), then hops,
then messages. Statements of queues lock no tasks, and all other statements on tasks begin with tasks in the order of
their ids, so that no two of them can deadlock.

The conditions `= ANY` beside a join keep a plan that does not know its values on the index.
"""

from asya_gateway.domain.log import TASK_CREATED, FinalEntry
from asya_gateway.domain.reports import COMPLETED_MESSAGE
from asya_gateway.storage.columns import split
from asya_gateway.storage.tasks.announcing import TOO_LATE
from asya_gateway.storage.tasks.guards import ENDED, MOVING, STATUS_AT, ended_above
from asya_gateway.storage.tasks.incarnations import NEWER, progress_sql
from asya_gateway.telemetry.observer import FAN_OUT
from asya_transports.postgres.enqueue import ENQUEUE_COLUMNS, ENQUEUE_TABLE

_IDS, _HOPS = split(1), split(2)
_REPORTS = (
    f"{_IDS}, {_HOPS}, {split(3)}, {split(4, 'json')}, {split(5, 'integer')}, {split(6, 'float8')}, $7::text[], "
    f"{split(8)}, {split(9, 'json')}, {split(10, 'integer')}, {split(11, 'bigint')}, {split(12, 'uuid')}, "
    f"{split(13, 'float8')}, {split(14)}, {split(15)}, {split(16, 'integer')}, $17::json[], {split(18)}, {split(19)}"
)
_SENDS = f"{split(20, 'integer')}, {split(21)}, {split(22)}, {split(23, 'boolean')}, coalesce({split(24)}, $25::text[])"
_FAMILY = split(26)
_CREW_WITHIN = "$27::float8"
# One of these, because a statement may not leave an argument out.
_LEASE, _QUEUES = "$28::float8", split(28)
# Only where a report has children.
_CHILDREN = f"{split(29, 'integer')}, {split(30)}, {split(31)}, {split(32, 'json')}, {split(33, 'integer')}"

_INCOMING = f"""
WITH incoming AS MATERIALIZED (
    SELECT * FROM unnest(
{_REPORTS})
    WITH ORDINALITY AS r(id, claim_hop, claimant, route, hop, progress, message, actor, detail, incarnation,
                         message_id, receipt, unroutable_seconds, sink, sump, parts, result, ends_to, ends_actor, n)
), """

_STORED = f"""stored AS MATERIALIZED (
    -- The parts that came before the end. They were committed before it was sent.
    SELECT r.n, p.part, p.number, p.actor, p.envelope_id, p.body, p.child
    FROM hop_parts p JOIN incoming r ON r.id = p.task_id AND r.claim_hop = p.hop AND r.claimant = p.claimant
    WHERE p.task_id = ANY ({_IDS}) AND p.hop = ANY ({_HOPS}) AND r.parts IS NOT NULL
), """
_SENT = f"""sent AS MATERIALIZED (
    SELECT s.n, s.actor, s.task_id, s.ends, s.body, {2**31 - 1} AS part, s.number
    FROM unnest({_SENDS}) WITH ORDINALITY AS s(n, actor, task_id, ends, body, number){{stored_sends}}
), """
_ANNOUNCED = f"""children AS MATERIALIZED (
    SELECT * FROM unnest({_CHILDREN}) AS c(n, id, parent_id, route, hop){{stored_children}}
), """
_STORED_SENDS = """
    UNION ALL SELECT n, actor, envelope_id, false, body, part, number FROM stored"""
_STORED_CHILDREN = """
    UNION ALL SELECT n, envelope_id, child ->> 'parent_id', child -> 'route', (child ->> 'hop')::integer
    FROM stored WHERE child IS NOT NULL"""
_STORED_FAMILY = """ || ARRAY(SELECT id FROM children) || ARRAY(SELECT parent_id FROM children)"""

_STANDING = f"""locked AS MATERIALIZED (
    SELECT t.id, t.status, t.parent_id, t.owner, t.flow, t.surface, t.context_id, t.deadline_at, t.remaining,
           t.progress, t.incarnation, t.own_incarnation, t.answered_progress
    FROM tasks t WHERE t.id = ANY ({_FAMILY}{{stored_family}}) ORDER BY t.id FOR NO KEY UPDATE
), hops AS MATERIALIZED (
    -- Locked, although their tasks are: a plain SELECT would see them as they were when this statement began.
    SELECT h.task_id, h.hop, h.claimant, h.state FROM task_hops h
    WHERE h.task_id = ANY (ARRAY(SELECT id FROM locked WHERE id IN (SELECT id FROM incoming))) AND h.hop = ANY ({_HOPS})
    ORDER BY h.task_id, h.hop FOR NO KEY UPDATE
), standing AS MATERIALIZED (
    SELECT r.*, l.status {MOVING} AND r.detail IS NOT NULL AS logs, {progress_sql("l")} AS reached, CASE
        WHEN l.id IS NULL THEN 'unknown'
        WHEN h.state = 'completed' AND h.claimant = r.claimant THEN 'again'
        WHEN h.state = 'completed' OR h.claimant IS DISTINCT FROM r.claimant OR l.status {ENDED}
             OR (l.parent_id IS NOT NULL AND {ended_above("l.parent_id")} IS NOT NULL) THEN 'refused'
        ELSE 'fresh' END AS stands
    FROM incoming r LEFT JOIN locked l ON l.id = r.id
    LEFT JOIN hops h ON h.task_id = r.id AND h.hop = r.claim_hop
), crew AS MATERIALIZED (
    -- Those of ours that were heard of lately and have no hooks. Their x-sink would only report the success.
    SELECT c.sink FROM crews c WHERE c.said_at > clock_timestamp() - {_CREW_WITHIN} * interval '1 second'
    GROUP BY c.sink HAVING NOT bool_or(c.hooks)
), judged AS MATERIALIZED (
    SELECT s.*, s.stands = 'fresh' AND s.ends_to IS NOT NULL AND s.ends_to IN (SELECT sink FROM crew) AS direct
    FROM standing s
), """

_MESSAGES = """messages AS MATERIALIZED (
    SELECT m.id, m.receipt FROM {queue_messages} m
    WHERE m.id = ANY (ARRAY(SELECT message_id FROM judged WHERE stands = 'fresh' AND message_id IS NOT NULL))
    ORDER BY m.id FOR UPDATE
), undeclared AS MATERIALIZED (
    SELECT x.n FROM sent x JOIN judged j ON j.n = x.n
    WHERE NOT (x.ends AND j.direct)
      AND '{prefix}' || x.actor NOT IN (SELECT q.name FROM queues q WHERE q.name = ANY ({queues}{stored_queues}))
), """
_STORED_QUEUES = """ || ARRAY(SELECT '{prefix}' || actor FROM stored)"""

_VERDICT = """outcomes AS MATERIALIZED (
    SELECT j.*, CASE
        WHEN j.stands <> 'fresh' THEN j.stands{unless}
        ELSE 'ended' END AS outcome
    FROM judged j{messages}
), verdict AS MATERIALIZED (
    SELECT o.*, o.outcome = 'ended' AS ended, o.outcome = 'ended' AND (o.logs OR o.direct) AS moves FROM outcomes o
), """
_UNLESS_RECEIPT = """
        WHEN m.id IS NULL THEN 'receipt'"""
_UNLESS_PARTS = """
        WHEN j.parts <> (SELECT count(DISTINCT s.part) FROM stored s WHERE s.n = j.n) THEN 'parts'"""
_UNLESS_UNDECLARED = """
        WHEN j.n IN (SELECT n FROM undeclared) THEN 'undeclared'"""
_WITH_MESSAGES = " LEFT JOIN messages m ON m.id = j.message_id AND m.receipt = j.receipt"

_ACKED = """acked AS (
    -- An end with another receipt has another outcome, and the messages are locked.
    DELETE FROM {queue_messages} m WHERE m.id = ANY (ARRAY(SELECT message_id FROM verdict WHERE ended))
), """
_CLEARED = f"""cleared AS (
    DELETE FROM hop_parts p USING verdict v
    WHERE v.ended AND v.parts IS NOT NULL AND p.task_id = ANY ({_IDS}) AND p.hop = ANY ({_HOPS})
      AND p.task_id = v.id AND p.hop = v.claim_hop
), """

# (The JSON text contains no apostrophe.)
_FINAL = FinalEntry(message=COMPLETED_MESSAGE).to_json()

_APPLIED = f"""done AS (
    -- Not a join, which would compare each hop with each report. (coalesce keeps the planner from making it one.)
    UPDATE task_hops h SET state = 'completed', frames = NULL
    WHERE h.task_id = ANY ({_IDS}) AND h.hop = ANY ({_HOPS})
      AND coalesce((h.task_id, h.hop) IN (SELECT v.id, v.claim_hop FROM verdict v WHERE v.ended), false)
), applied AS (
    -- The keys of reports are not touched: what this claimant repeats finds its hop completed. Indexed columns of a
    -- task that goes on keep their values, so that its update stays within the page.
    UPDATE tasks t SET
        status   = CASE WHEN r.direct THEN 'succeeded' WHEN t.status = 'pending' THEN 'running' ELSE t.status END,
        status_at = {STATUS_AT},
        ended_as = CASE WHEN r.direct THEN 'succeeded' ELSE t.ended_as END,
        finished_at = CASE WHEN r.direct THEN clock_timestamp() ELSE t.finished_at END,
        remaining = CASE WHEN NOT r.direct THEN t.remaining END,
        pause_id = CASE WHEN NOT r.direct THEN t.pause_id END,
        route    = CASE WHEN r.logs AND {NEWER} THEN coalesce(r.route, t.route) ELSE t.route END,
        hop      = CASE WHEN r.logs AND {NEWER} THEN r.hop ELSE t.hop END,
        progress = CASE WHEN r.direct THEN 100 ELSE r.reached END,
        message  = CASE WHEN r.direct THEN '{COMPLETED_MESSAGE}' ELSE coalesce(r.message, t.message) END,
        actor    = CASE WHEN r.direct AND r.ends_actor IS NOT NULL THEN r.ends_actor
                        WHEN r.logs AND {NEWER} THEN r.actor ELSE t.actor END,
        last_seq = t.last_seq + r.logs::integer + r.direct::integer,
        updated_at = clock_timestamp()
    FROM verdict r
    -- All rows are found at once and joined by a hash. A search for each would sort the array again for each.
    WHERE r.moves AND t.id = ANY (ARRAY(SELECT id FROM verdict WHERE moves)) AND t.id || '' = r.id
    RETURNING t.id, t.parent_id, t.last_seq, t.status, t.updated_at, t.created_at, t.flow, t.surface,
              r.detail, r.logs, r.direct, r.reached
), bodies AS (
    INSERT INTO task_bodies (task_id, kind, body)
    SELECT id, 'result', result FROM verdict WHERE ended AND direct
    ON CONFLICT DO NOTHING
), logged AS (
    INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
    SELECT id, last_seq - direct::integer, 'progress', CASE WHEN direct THEN 'running' ELSE status END, reached, detail,
           updated_at FROM applied WHERE logs
    UNION ALL
    SELECT id, last_seq, 'final', status, 100, '{_FINAL}'::json, updated_at FROM applied WHERE direct
), """

_BORN = f"""newborn AS MATERIALIZED (
    -- A child's parent is judged as it was before this statement. With an unknown parent, only the envelope goes.
    SELECT DISTINCT ON (c.id) c.*, p.owner, p.flow, p.surface, p.context_id,
           coalesce(p.deadline_at, clock_timestamp() + p.remaining) AS deadline_at,
           p.status {ENDED} OR (p.parent_id IS NOT NULL AND {ended_above("p.parent_id")} IS NOT NULL) AS late
    FROM children c JOIN verdict v ON v.n = c.n AND v.ended JOIN locked p ON p.id = c.parent_id
    ORDER BY c.id
), born AS (
    INSERT INTO tasks (id, parent_id, context_id, owner, flow, surface, status, route, hop, ends_itself,
                       deadline_at, message, created_at, updated_at, finished_at, ended_as)
    SELECT id, parent_id, context_id, owner, flow, surface, CASE WHEN late THEN 'canceled' ELSE 'pending' END,
           route, hop, true, deadline_at, CASE WHEN late THEN '{TOO_LATE}' END, clock_timestamp(), clock_timestamp(),
           CASE WHEN late THEN clock_timestamp() END, CASE WHEN late THEN 'canceled' END
    FROM newborn ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, parent_id, status, created_at
), first_entries AS (
    INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
    SELECT id, 1, CASE status WHEN 'canceled' THEN 'final' ELSE 'created' END, status, 0,
           json_build_object('message', CASE status WHEN 'canceled' THEN '{TOO_LATE}' ELSE '{TASK_CREATED}' END,
                             'parent_id', parent_id), created_at
    FROM born
), """

_GOING = """going AS MATERIALIZED (
    SELECT s.n, s.actor, s.task_id, s.body, s.part, s.number, v.unroutable_seconds, v.sink, v.sump
    FROM sent s JOIN verdict v ON v.n = s.n AND v.ended WHERE NOT (s.ends AND v.direct)
), """

_INTO_QUEUE = f"""queued AS (
    INSERT INTO {ENQUEUE_TABLE} ({", ".join(ENQUEUE_COLUMNS)})
    SELECT '{{prefix}}' || actor, convert_to(body, 'UTF8') FROM going ORDER BY n, part, number
)"""
# Envelopes for sink and sump wait for their queue, because no task ends without them. Those of parts are not in this
# process's memory, and are left to the poll.
_INTO_OUTBOX = f"""queued AS (
    INSERT INTO outbox (task_id, actor, body, not_before, created_at, unroutable_at, sump)
    SELECT task_id, actor, body,
           now() + CASE WHEN part = {2**31 - 1} THEN {_LEASE} ELSE 0 END * interval '1 second', now(),
           CASE WHEN actor NOT IN (sink, sump) THEN now() + unroutable_seconds * interval '1 second' END, sump
    FROM going ORDER BY n, part, number
    RETURNING id, task_id, actor, not_before > now() AS leased
)"""

# What was announced, queued and ended directly, beside the answers.
_ANSWERS = f"""
SELECT v.n, v.id, v.outcome, NULL AS actor, a.direct AS direct, a.flow,
       CASE WHEN a.parent_id IS NULL THEN a.surface ELSE '{FAN_OUT}' END AS surface,
       extract(epoch FROM a.updated_at - a.created_at)::float8 AS took
FROM verdict v LEFT JOIN applied a ON a.id = v.id AND a.direct
"""
_WITH_BORN = "UNION ALL SELECT 0, id, 'born', NULL, NULL, NULL, NULL, NULL::float8 FROM born\n"
_QUEUED = "UNION ALL SELECT id, task_id, 'queued', actor, NULL, NULL, NULL, NULL FROM queued WHERE leased"
_RUNG = "UNION ALL SELECT DISTINCT 0, '', 'queued', actor, NULL::boolean, NULL, NULL, NULL::float8 FROM going"


def statement(prefix: str | None, *, parts: bool, children: bool) -> str:
    """The whole statement, whose arguments are in handing_on.py. `prefix`: of the queues' names in this database, None
    for the outbox. `parts`, `children`: whether a report of the batch may have some; without children the statement has
    no arguments for them. What a batch does not need is left out, because each part costs the server time, used or
    not."""
    embedded = prefix is not None
    unless = [_UNLESS_RECEIPT] * embedded + [_UNLESS_PARTS] * parts + [_UNLESS_UNDECLARED] * embedded
    text = "".join(
        (
            _INCOMING,
            _STORED if parts else "",
            _SENT,
            _ANNOUNCED if children else "",
            _STANDING,
            _MESSAGES if embedded else "",
            _VERDICT.replace("{unless}", "".join(unless)),
            _ACKED if embedded else "",
            _CLEARED if parts else "",
            _APPLIED,
            _BORN if children else "",
            _GOING,
            _INTO_QUEUE if embedded else _INTO_OUTBOX,
            _ANSWERS,
            _WITH_BORN if children else "",
            _RUNG if embedded else _QUEUED,
        )
    )
    filled = {
        "{stored_sends}": _STORED_SENDS if parts else "",
        "{stored_children}": _STORED_CHILDREN if parts else "",
        "{stored_family}": _STORED_FAMILY if parts else "",
        "{stored_queues}": _STORED_QUEUES if parts else "",
        "{messages}": _WITH_MESSAGES if embedded else "",
        "{queue_messages}": ENQUEUE_TABLE,
        "{queues}": _QUEUES,
        "{prefix}": prefix or "",
    }
    for name, value in filled.items():
        text = text.replace(name, value)
    return text

"""The statement that begins and ends hops, composed for what a batch contains.

Locks are taken in one order: tasks by id (those of the reports, the children of ends, and the children's parents), then
hops, then messages. Statements of queues lock no tasks, and all other statements on tasks begin with tasks in the order
of their ids, so that no two of them can deadlock.

The conditions `= ANY` beside a join keep a plan that does not know its values on the index.
"""

from collections.abc import Sequence
from typing import NamedTuple

from asya_gateway.domain.log import TASK_CREATED, FinalEntry
from asya_gateway.domain.reports import COMPLETED_MESSAGE
from asya_gateway.storage.columns import split
from asya_gateway.storage.tasks.announcing import TOO_LATE
from asya_gateway.storage.tasks.guards import ASKING, ENDED, MOVING, STATUS_AT, ended_above
from asya_gateway.storage.tasks.incarnations import NEWER, progress_sql
from asya_gateway.storage.tasks.reporting import INTO_HOPS, KEYS_KEPT, TAKE_OVER, claim_action
from asya_gateway.storage.tasks.written import FIRST_OF_CHILD, GROWN, INTO_BODIES, INTO_CHILDREN, INTO_LOG
from asya_gateway.telemetry.observer import FAN_OUT
from asya_transports.postgres.enqueue import ENQUEUE_COLUMNS, ENQUEUE_TABLE

LAST_PART = 2**31 - 1
"""The part of envelopes that come with the end itself."""


class Column(NamedTuple):
    """A field of the reports. `array`: many values travel as an array, since they may contain any character."""

    name: str
    kind: str = "text"
    array: bool = False


BEGINS = (
    Column("id"),
    Column("route", "json"),
    Column("hop", "integer"),
    Column("received_progress", "float8"),
    Column("processing_progress", "float8"),
    Column("actor"),
    Column("message"),
    Column("received", "json"),
    Column("processing", "json"),
    Column("received_key", "bigint"),
    Column("processing_key", "bigint"),
    Column("incarnation", "integer"),
    Column("claim_hop"),
    Column("attempt", "integer"),
    Column("claimant"),
)
ENDS = (
    Column("id"),
    Column("claim_hop"),
    Column("claimant"),
    Column("route", "json"),
    Column("hop", "integer"),
    Column("progress", "float8"),
    Column("message", array=True),
    Column("actor"),
    Column("detail", "json"),
    Column("incarnation", "integer"),
    Column("message_id", "bigint"),
    Column("receipt", "uuid"),
    Column("unroutable_seconds", "float8"),
    Column("sink"),
    Column("sump"),
    Column("parts", "integer"),
    Column("result", "json", array=True),
    Column("ends_to"),
    Column("ends_actor"),
)
_JUDGED = ", ".join(f"r.{column.name}" for column in ENDS if column.name not in ("progress", "result"))
"""What the verdicts on ends carry on. (A result may be long, and is fetched where it is stored.)"""


class Hops(NamedTuple):
    """What a statement is for. `begins`, `ends`: whether the batch has some. `parts`, `children`: whether an end may
    have some. `one`: whether there is at most one begin, and at most one end with one envelope. What a batch does not
    need is left out, because each part costs the server time, used or not. `prefix`: of the queues' names in this
    database, None for the outbox."""

    prefix: str | None
    begins: bool = False
    ends: bool = False
    parts: bool = False
    children: bool = False
    one: bool = False


class _Arguments(NamedTuple):
    """SQL of the arguments (handing_on.py, beginning.py), by what they are for. `ids`: of all tasks of a batch."""

    ids: str = ""
    ended: str = ""
    ended_ids: str = ""
    ended_hops: str = ""
    sent: str = ""
    crew_within: str = ""
    lease: str = ""
    queues: str = ""
    children: str = ""
    begun: str = ""
    claim_lease: str = ""


def _many(columns: Sequence[Column], first: int, numbered: str = "") -> str:
    """Rows of many reports, whose columns begin at this argument."""
    arrays = ", ".join(
        f"${n}::{column.kind}[]" if column.array else split(n, column.kind) for n, column in enumerate(columns, first)
    )
    ordinality = " WITH ORDINALITY" if numbered else ""
    names = ", ".join([column.name for column in columns] + [numbered] * bool(numbered))
    return f"SELECT * FROM unnest({arrays}){ordinality} AS r({names})"


def _one(columns: Sequence[Column], first: int) -> str:
    """The row of one report. Its plan expects one row, and there are no arrays to make and to split."""
    return "SELECT " + ", ".join(f"${n}::{column.kind} AS {column.name}" for n, column in enumerate(columns, first))


_SENT_COLUMNS = (Column("actor"), Column("task_id"), Column("ends", "boolean"), Column("body"))


def _one_end() -> tuple[_Arguments, int]:
    """The arguments of one end with one envelope, and the number of the next one."""
    after = len(ENDS) + 1
    found = _Arguments(
        ended=f"{_one(ENDS, 1)}, 1::bigint AS n",
        ended_ids="ARRAY[$1::text]",
        ended_hops="ARRAY[$2::text]",
        sent=f"{_one(_SENT_COLUMNS, after)}, 1 AS n, {LAST_PART} AS part, 1::bigint AS number",
        crew_within=f"${after + 4}::float8",
        lease=f"${after + 5}::float8",
        queues=f"ARRAY[${after + 5}::text]",
    )
    return found, after + 6


def _many_ends() -> tuple[_Arguments, int]:
    """The same of many ends, with the ids of all tasks of the batch."""
    n = len(ENDS) + 1
    sends = (
        f"{split(n, 'integer')}, {split(n + 1)}, {split(n + 2)}, {split(n + 3, 'boolean')}, "
        f"coalesce({split(n + 4)}, ${n + 5}::text[])"
    )
    found = _Arguments(
        ids=split(n + 6),
        ended=_many(ENDS, 1, "n"),
        ended_ids=split(1),
        ended_hops=split(2),
        sent=f"SELECT s.n, s.actor, s.task_id, s.ends, s.body, {LAST_PART} AS part, s.number"
        f" FROM unnest({sends}) WITH ORDINALITY AS s(n, actor, task_id, ends, body, number)",
        crew_within=f"${n + 7}::float8",
        # One of these, because a statement may not leave an argument out.
        lease=f"${n + 8}::float8",
        queues=split(n + 8),
    )
    return found, n + 9


def _arguments(hops: Hops) -> _Arguments:
    found, after = _Arguments(), 1
    if hops.ends:
        found, after = _one_end() if hops.one else _many_ends()
    if hops.children:
        n = after
        children = f"{split(n, 'integer')}, {split(n + 1)}, {split(n + 2)}, {split(n + 3, 'json')}, "
        found, after = found._replace(children=f"{children}{split(n + 4, 'integer')}"), n + 5
    if hops.begins:
        rows = (_one if hops.one else _many)(BEGINS, after)
        found = found._replace(begun=rows, claim_lease=f"${after + len(BEGINS)}::float8")
    if hops.one:
        ids = ", ".join(["$1::text"] * hops.ends + [f"${after}::text"] * hops.begins)
        return found._replace(ids=f"ARRAY[{ids}]")
    return found if hops.ends else found._replace(ids=split(1))


_ENDED = """ended AS MATERIALIZED (
    {ended}
), """
_BEGUN = """begun AS MATERIALIZED (
    {begun}
), """
_STORED = """stored AS MATERIALIZED (
    -- The parts that came before the end. They were committed before it was sent.
    SELECT r.n, p.part, p.number, p.actor, p.envelope_id, p.body, p.child
    FROM hop_parts p JOIN ended r ON r.id = p.task_id AND r.claim_hop = p.hop AND r.claimant = p.claimant
    WHERE p.task_id = ANY ({ended_ids}) AND p.hop = ANY ({ended_hops}) AND r.parts IS NOT NULL
), """
_SENT = """sent AS MATERIALIZED (
    {sent}{stored_sends}
), """
_ANNOUNCED = """children AS MATERIALIZED (
    SELECT * FROM unnest({children}) AS c(n, id, parent_id, route, hop){stored_children}
), """
_STORED_SENDS = """
    UNION ALL SELECT n, actor, envelope_id, false, body, part, number FROM stored"""
_STORED_CHILDREN = """
    UNION ALL SELECT n, envelope_id, child ->> 'parent_id', child -> 'route', (child ->> 'hop')::integer
    FROM stored WHERE child IS NOT NULL"""
_STORED_FAMILY = """ || ARRAY(SELECT id FROM children) || ARRAY(SELECT parent_id FROM children)"""

_LOCKED = f"""locked AS MATERIALIZED (
    -- Locking in id order, whatever order the reports came in, is what keeps batches from deadlocking.
    SELECT t.id, t.status, t.parent_id, t.deadline_at, t.progress, t.incarnation, t.own_incarnation,
           t.answered_progress, t.recent_reports{{inherited}}
    FROM tasks t WHERE t.id = ANY ({{ids}}{{stored_family}}) ORDER BY t.id FOR NO KEY UPDATE
), doomed AS MATERIALIZED (
    -- Nobody works below a task that has ended, however long it takes until this one has its own end.
    SELECT l.id FROM locked l WHERE l.parent_id IS NOT NULL AND {ended_above("l.parent_id")} IS NOT NULL
), """
_INHERITED = ", t.owner, t.flow, t.surface, t.context_id, t.remaining"

_JUDGING = f"""hops AS MATERIALIZED (
    -- Locked, although their tasks are: a plain SELECT would see them as they were when this statement began.
    SELECT h.task_id, h.hop, h.claimant, h.state FROM task_hops h
    WHERE h.task_id = ANY (ARRAY(SELECT id FROM locked WHERE id IN (SELECT id FROM ended)))
      AND h.hop = ANY ({{ended_hops}})
    ORDER BY h.task_id, h.hop FOR NO KEY UPDATE
), crew AS MATERIALIZED (
    -- Those of ours that were heard of lately and have no hooks. Their x-sink would only report the success.
    SELECT c.sink FROM crews c WHERE c.said_at > clock_timestamp() - {{crew_within}} * interval '1 second'
    GROUP BY c.sink HAVING NOT bool_or(c.hooks)
), judged AS MATERIALIZED (
    SELECT s.*, s.stands = 'fresh' AND s.ends_to IS NOT NULL AND s.ends_to IN (SELECT sink FROM crew) AS direct
    FROM (
        SELECT r.n, {_JUDGED}, l.status {MOVING} AND r.detail IS NOT NULL AS logs, {progress_sql("l")} AS reached, CASE
            WHEN l.id IS NULL THEN 'unknown'
            WHEN h.state = 'completed' AND h.claimant = r.claimant THEN 'again'
            WHEN h.state = 'completed' OR h.claimant IS DISTINCT FROM r.claimant OR l.status {ENDED}
                 OR l.id IN (SELECT id FROM doomed) THEN 'refused'
            ELSE 'fresh' END AS stands
        FROM ended r LEFT JOIN locked l ON l.id = r.id LEFT JOIN hops h ON h.task_id = r.id AND h.hop = r.claim_hop
        OFFSET 0
    ) s
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

_VERDICT = """verdict AS MATERIALIZED (
    SELECT j.*, CASE
        WHEN j.stands <> 'fresh' THEN j.stands{unless}
        ELSE 'ended' END AS outcome
    FROM judged j{messages}
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
    DELETE FROM {queue_messages} m WHERE m.id = ANY (ARRAY(SELECT message_id FROM verdict WHERE outcome = 'ended'))
), """
_CLEARED = """cleared AS (
    DELETE FROM hop_parts p USING verdict v
    WHERE v.outcome = 'ended' AND v.parts IS NOT NULL AND p.task_id = ANY ({ended_ids}) AND p.hop = ANY ({ended_hops})
      AND p.task_id = v.id AND p.hop = v.claim_hop
), """

_CLAIMED = f"""starting AS MATERIALIZED (
    -- A task that waits or is overdue gets no claim either: its message is dropped.
    SELECT r.*, l.deadline_at,
           l.status {ENDED} OR l.status {ASKING} OR coalesce(l.deadline_at <= clock_timestamp(), false)
           OR l.id IN (SELECT id FROM doomed) AS dropped,
           l.status {MOVING} AND NOT r.received_key = ANY (l.recent_reports) AS news,
           {progress_sql("l", "r.received_progress")} AS progress_received,
           {progress_sql("l", "r.processing_progress")} AS progress_processing
    FROM begun r JOIN locked l USING (id)
), claimed AS (
    -- ON CONFLICT sees rows that were committed after this statement's snapshot; a SELECT would not.
    {INTO_HOPS}
    SELECT id, claim_hop, attempt, claimant, 'claimed', clock_timestamp() + {{claim_lease}} * interval '1 second'
    FROM starting WHERE NOT dropped ORDER BY id
    {TAKE_OVER}
), opened AS MATERIALIZED (
    SELECT s.*, c.frames, CASE
        WHEN s.dropped THEN 'drop'
        {claim_action("s")} END AS action,
        s.news AND NOT s.dropped AND c.state = 'claimed' AND c.claimant = s.claimant AS moves
    FROM starting s LEFT JOIN claimed c ON c.task_id = s.id
), """

# (The JSON text contains no apostrophe.)
_FINAL = FinalEntry(message=COMPLETED_MESSAGE).to_json()

_DONE = """done AS (
    -- Not a join, which would compare each hop with each report. (coalesce keeps the planner from making it one.)
    UPDATE task_hops h SET state = 'completed', frames = NULL
    WHERE h.task_id = ANY ({ended_ids}) AND h.hop = ANY ({ended_hops})
      AND coalesce((h.task_id, h.hop) IN (SELECT v.id, v.claim_hop FROM verdict v WHERE v.outcome = 'ended'), false)
), """

# What happens to a task and its log: up to two entries, `first` and `second`. An end keeps the keys of reports: what
# its claimant repeats finds its hop completed.
_OF_ENDS = f"""
        SELECT id, direct, logs AS takes_route, route, hop, incarnation, actor, reached AS progress_first,
               CASE WHEN direct THEN 100 ELSE reached END AS progress_reached,
               CASE WHEN direct THEN '{COMPLETED_MESSAGE}' ELSE message END AS message,
               CASE WHEN direct THEN ends_actor END AS last_actor, '{{}}'::bigint[] AS keys,
               CASE WHEN logs THEN detail END AS first, CASE WHEN direct THEN '{_FINAL}'::json END AS second
        FROM verdict WHERE outcome = 'ended' AND (logs OR direct)"""
_OF_BEGINS = """
        SELECT id, false AS direct, true AS takes_route, route, hop, incarnation, actor,
               progress_received AS progress_first, progress_processing AS progress_reached, message,
               NULL AS last_actor, ARRAY[processing_key, received_key] AS keys, received AS first, processing AS second
        FROM opened WHERE moves"""

# Indexed columns of a task that goes on keep their values, so that its update stays within the page.
_APPLIED = f"""applied AS (
    UPDATE tasks t SET
        status   = CASE WHEN r.direct THEN 'succeeded' WHEN t.status = 'pending' THEN 'running' ELSE t.status END,
        status_at = {STATUS_AT},
        ended_as = CASE WHEN r.direct THEN 'succeeded' ELSE t.ended_as END,
        finished_at = CASE WHEN r.direct THEN clock_timestamp() ELSE t.finished_at END,
        remaining = CASE WHEN NOT r.direct THEN t.remaining END,
        pause_id = CASE WHEN NOT r.direct THEN t.pause_id END,
        route    = CASE WHEN r.takes_route AND {NEWER} THEN coalesce(r.route, t.route) ELSE t.route END,
        hop      = CASE WHEN r.takes_route AND {NEWER} THEN r.hop ELSE t.hop END,
        progress = r.progress_reached,
        message  = coalesce(r.message, t.message),
        actor    = CASE WHEN r.last_actor IS NOT NULL THEN r.last_actor
                        WHEN r.takes_route AND {NEWER} THEN r.actor ELSE t.actor END,
        last_seq = t.last_seq + (r.first IS NOT NULL)::integer + (r.second IS NOT NULL)::integer,
        recent_reports = (r.keys || t.recent_reports)[:{KEYS_KEPT}],
        updated_at = clock_timestamp()
    FROM ({{changes}}
    ) r
    -- All rows are found at once and joined by a hash. A search for each would sort the array again for each.
    WHERE t.id = ANY ({{ids}}) AND t.id || '' = r.id
    RETURNING {GROWN}, t.parent_id, t.created_at, t.flow, t.surface,
              r.direct, r.progress_first, r.first, r.second
), logged AS (
    {INTO_LOG}
    SELECT id, last_seq - (second IS NOT NULL)::integer, 'progress', CASE WHEN direct THEN 'running' ELSE status END,
           progress_first, first, updated_at FROM applied WHERE first IS NOT NULL
    UNION ALL
    SELECT id, last_seq, CASE WHEN direct THEN 'final' ELSE 'progress' END, status, progress, second, updated_at
    FROM applied WHERE second IS NOT NULL
)"""

_BODIES = f""", bodies AS (
    {INTO_BODIES}
    SELECT v.id, 'result', r.result FROM verdict v JOIN ended r ON r.n = v.n WHERE v.outcome = 'ended' AND v.direct
    ON CONFLICT DO NOTHING
)"""

_BORN = f""", newborn AS MATERIALIZED (
    -- A child's parent is judged as it was before this statement. With an unknown parent, only the envelope goes.
    SELECT DISTINCT ON (c.id) c.*, p.owner, p.flow, p.surface, p.context_id,
           coalesce(p.deadline_at, clock_timestamp() + p.remaining) AS deadline_at,
           p.status {ENDED} OR p.id IN (SELECT id FROM doomed) AS late
    FROM children c JOIN verdict v ON v.n = c.n AND v.outcome = 'ended' JOIN locked p ON p.id = c.parent_id
    ORDER BY c.id
), born AS (
    {INTO_CHILDREN}
    SELECT id, parent_id, context_id, owner, flow, surface, CASE WHEN late THEN 'canceled' ELSE 'pending' END,
           route, hop, true, deadline_at, CASE WHEN late THEN '{TOO_LATE}' END, clock_timestamp(), clock_timestamp(),
           CASE WHEN late THEN clock_timestamp() END, CASE WHEN late THEN 'canceled' END
    FROM newborn ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, parent_id, status, created_at
), first_entries AS (
    {FIRST_OF_CHILD}
           json_build_object('message', CASE status WHEN 'canceled' THEN '{TOO_LATE}' ELSE '{TASK_CREATED}' END,
                             'parent_id', parent_id), created_at
    FROM born
)"""

_GOING = """, going AS MATERIALIZED (
    SELECT s.n, s.actor, s.task_id, s.body, s.part, s.number, v.unroutable_seconds, v.sink, v.sump
    FROM sent s JOIN verdict v ON v.n = s.n AND v.outcome = 'ended' WHERE NOT (s.ends AND v.direct)
)"""

_INTO_QUEUE = f""", queued AS (
    INSERT INTO {ENQUEUE_TABLE} ({", ".join(ENQUEUE_COLUMNS)})
    SELECT '{{prefix}}' || actor, convert_to(body, 'UTF8') FROM going ORDER BY n, part, number
)"""
# Envelopes for sink and sump wait for their queue, because no task ends without them. Those of parts are not in this
# process's memory, and are left to the poll.
_INTO_OUTBOX = f""", queued AS (
    INSERT INTO outbox (task_id, actor, body, not_before, created_at, unroutable_at, sump)
    SELECT task_id, actor, body,
           now() + CASE WHEN part = {LAST_PART} THEN {{lease}} ELSE 0 END * interval '1 second', now(),
           CASE WHEN actor NOT IN (sink, sump) THEN now() + unroutable_seconds * interval '1 second' END, sump
    FROM going ORDER BY n, part, number
    RETURNING id, task_id, actor, not_before > now() AS leased
)"""

# The answers to ends; beside them, what was announced and queued. `action` and what follows belong to begins.
_ANSWERS = f"""
SELECT v.n, v.id, v.outcome, NULL AS actor, a.direct AS direct, a.flow,
       CASE WHEN a.parent_id IS NULL THEN a.surface ELSE '{FAN_OUT}' END AS surface,
       extract(epoch FROM a.updated_at - a.created_at)::float8 AS took{{no_begin}}
FROM verdict v LEFT JOIN applied a ON a.id = v.id AND a.direct
"""
_WITH_BORN = "UNION ALL SELECT 0, id, 'born', NULL, NULL, NULL, NULL, NULL::float8{no_begin} FROM born\n"
_QUEUED = "UNION ALL SELECT id, task_id, 'queued', actor, NULL, NULL, NULL, NULL{no_begin} FROM queued WHERE leased\n"
_RUNG = """UNION ALL SELECT 0, '', 'queued', actor, NULL::boolean, NULL, NULL, NULL::float8{no_begin}
FROM (SELECT DISTINCT actor FROM going) rung
"""
_NO_BEGIN = ", NULL AS action, NULL::boolean AS applied, NULL AS frames, NULL::float8 AS remaining"
_BEGIN_ANSWERS = """
SELECT {no_end}'begun' AS outcome{no_end_more}, o.action, a.id IS NOT NULL AS applied, o.frames::text AS frames,
       extract(epoch FROM o.deadline_at - clock_timestamp())::float8 AS remaining
FROM opened o LEFT JOIN applied a ON a.id = o.id
"""


def statement(hops: Hops) -> str:
    """The whole statement."""
    arguments = _arguments(hops)
    embedded = hops.prefix is not None
    unless = [_UNLESS_RECEIPT] * embedded + [_UNLESS_PARTS] * hops.parts + [_UNLESS_UNDECLARED] * embedded
    ends = "".join(
        (
            _MESSAGES if embedded else "",
            _VERDICT.replace("{unless}", "".join(unless)),
            _ACKED if embedded else "",
            _CLEARED if hops.parts else "",
            _DONE,
        )
    )
    queued = "".join((_BODIES, _BORN if hops.children else "", _GOING, _INTO_QUEUE if embedded else _INTO_OUTBOX))
    answers = "".join((_ANSWERS, _WITH_BORN if hops.children else "", _RUNG if embedded else _QUEUED))
    text = "".join(
        (
            "\nWITH ",
            _ENDED if hops.ends else "",
            _BEGUN if hops.begins else "",
            _STORED if hops.parts else "",
            _SENT if hops.ends else "",
            _ANNOUNCED if hops.children else "",
            _LOCKED,
            f"{_JUDGING}{ends}" if hops.ends else "",
            _CLAIMED if hops.begins else "",
            _APPLIED.replace("{changes}", " UNION ALL".join([_OF_ENDS] * hops.ends + [_OF_BEGINS] * hops.begins)),
            f"{queued}{answers}" if hops.ends else "",
            "UNION ALL" if hops.ends and hops.begins else "",
            _BEGIN_ANSWERS if hops.begins else "",
        )
    )
    filled = {
        "{stored_sends}": _STORED_SENDS if hops.parts else "",
        "{stored_children}": _STORED_CHILDREN if hops.parts else "",
        "{stored_family}": _STORED_FAMILY if hops.parts else "",
        "{stored_queues}": _STORED_QUEUES if hops.parts else "",
        "{inherited}": _INHERITED if hops.children else "",
        "{messages}": _WITH_MESSAGES if embedded else "",
        "{queue_messages}": ENQUEUE_TABLE,
        "{prefix}": hops.prefix or "",
        "{no_begin}": _NO_BEGIN if hops.begins else "",
        "{no_end}": "0, o.id, " if hops.ends else "o.id, ",
        "{no_end_more}": ", NULL, NULL, NULL, NULL, NULL" if hops.ends else "",
        **{f"{{{name}}}": value for name, value in arguments._asdict().items()},
    }
    for name, value in filled.items():
        text = text.replace(name, value)
    return text

"""The SQL statements of the queues. Statements on several messages lock them in the order of their ids, and takes and
renewals skip locked ones, so that they cannot deadlock."""

# A part of the statements below, not a value. It contains no input.
_DEAD = "message.deliveries >= (SELECT deliveries FROM enough)"

DECLARE = """
INSERT INTO queues (name, namespace, actor, max_deliveries) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO NOTHING
"""

DELETE_QUEUE = "DELETE FROM queues WHERE name = $1"

# In slices, so that a long queue does not outlast the statement timeout.
DELETE_MESSAGES = """
DELETE FROM queue_messages WHERE id = ANY (ARRAY(
    SELECT id FROM queue_messages WHERE queue = $1 ORDER BY queue, ready_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""

PUBLISH = """
WITH known AS MATERIALIZED (SELECT name FROM queues WHERE name = ANY($1::text[])), inserted AS (
    INSERT INTO queue_messages (queue, body)
    SELECT message.queue, message.body
    FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS message (queue, body, number)
    WHERE message.queue IN (SELECT name FROM known) ORDER BY message.number
)
SELECT name FROM known
"""

# $7: whether messages whose lease has expired are taken too (receiver.py). A message that was delivered too often (its
# consumers died without returning it) is moved to the dead letters by the statement that would have delivered it again.
TAKE = f"""
WITH ready AS MATERIALIZED (
    SELECT id FROM queue_messages WHERE queue = $1 AND ready_at <= now() AND ($7 OR receipt IS NULL)
    ORDER BY queue, ready_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
), enough AS MATERIALIZED (
    SELECT coalesce((SELECT max_deliveries FROM queues WHERE name = $1), $4::integer) AS deliveries
)
UPDATE queue_messages AS message SET
    queue = CASE WHEN {_DEAD} THEN $5 ELSE queue END,
    died_in = CASE WHEN {_DEAD} THEN $6 ELSE died_in END,
    died_after = CASE WHEN {_DEAD} THEN message.deliveries ELSE died_after END,
    deliveries = CASE WHEN {_DEAD} THEN 0 ELSE message.deliveries + 1 END,
    ready_at = CASE WHEN {_DEAD} THEN now() ELSE now() + $3::interval END,
    receipt = CASE WHEN {_DEAD} THEN NULL ELSE gen_random_uuid() END
WHERE message.id = ANY (ARRAY(SELECT id FROM ready))
RETURNING message.id, message.receipt, message.deliveries, message.died_in, message.died_after, message.body
"""

# Returns messages that are no longer ours. A missing message counts as acknowledged: either an earlier attempt of this
# statement was committed although its answer was lost, or another consumer has finished the message.
ACK = """
WITH held AS MATERIALIZED (
    SELECT message.id FROM unnest($1::bigint[], $2::uuid[]) AS answer (id, receipt)
    JOIN queue_messages AS message ON message.id = answer.id AND message.receipt = answer.receipt
    WHERE message.id = ANY ($1) ORDER BY message.id FOR UPDATE OF message
), gone AS (
    DELETE FROM queue_messages WHERE id = ANY (ARRAY(SELECT id FROM held)) RETURNING id
)
SELECT id FROM queue_messages WHERE id = ANY($1::bigint[]) AND id <> ALL (ARRAY(SELECT id FROM gone))
"""

NACK = f"""
WITH enough AS MATERIALIZED (
    SELECT coalesce((SELECT max_deliveries FROM queues WHERE name = $3), $5::integer) AS deliveries
)
UPDATE queue_messages AS message SET
    queue = CASE WHEN {_DEAD} THEN $6 ELSE queue END,
    died_in = CASE WHEN {_DEAD} THEN $7 ELSE died_in END,
    died_after = CASE WHEN {_DEAD} THEN message.deliveries ELSE died_after END,
    deliveries = CASE WHEN {_DEAD} THEN 0 ELSE message.deliveries END,
    ready_at = CASE WHEN {_DEAD} THEN now() ELSE now() + $4::interval END,
    receipt = NULL
WHERE message.id = $1 AND message.receipt = $2
RETURNING queue = $6 AS died
"""

REQUEUE = """
UPDATE queue_messages SET body = $3, deliveries = 0, ready_at = now() + $4::interval, receipt = NULL
WHERE id = $1 AND receipt = $2 RETURNING id
"""

EXTEND = """
WITH held AS MATERIALIZED (
    SELECT message.id FROM unnest($1::bigint[], $2::uuid[]) AS lease (id, receipt)
    JOIN queue_messages AS message ON message.id = lease.id AND message.receipt = lease.receipt
    WHERE message.id = ANY ($1) ORDER BY message.id FOR UPDATE OF message SKIP LOCKED
)
UPDATE queue_messages SET ready_at = now() + $3::interval WHERE id = ANY (ARRAY(SELECT id FROM held)) RETURNING id
"""

# A message that was not yielded ($3) was not delivered, so the delivery does not count.
GIVE_BACK = """
WITH held AS MATERIALIZED (
    SELECT message.id, lease.untouched FROM unnest($1::bigint[], $2::uuid[], $3::boolean[])
        AS lease (id, receipt, untouched)
    JOIN queue_messages AS message ON message.id = lease.id AND message.receipt = lease.receipt
    WHERE message.id = ANY ($1) ORDER BY message.id FOR UPDATE OF message
)
UPDATE queue_messages AS message SET
    ready_at = now(), receipt = NULL, deliveries = message.deliveries - held.untouched::integer
FROM held WHERE message.id = ANY ($1) AND message.id = held.id
"""

DEPTH = "SELECT count(*) FROM queue_messages WHERE queue = $1 AND ready_at <= now()"

-- Queues as rows. Run by schema.py under an advisory lock, in one transaction; every statement may run again.

CREATE TABLE IF NOT EXISTS queues (
    name           text PRIMARY KEY,
    namespace      text NOT NULL,
    actor          text NOT NULL,
    max_deliveries integer,              -- null: no limit (the dead letters themselves)
    declared_at    timestamptz NOT NULL DEFAULT now()
);

-- No foreign key to queues: a message for an actor that nobody has declared yet waits for it.
CREATE TABLE IF NOT EXISTS queue_messages (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue      text NOT NULL,
    ready_at   timestamptz NOT NULL DEFAULT now(),  -- when it may be taken; of a taken one, when its lease ends
    deliveries integer NOT NULL DEFAULT 0,
    receipt    uuid,                     -- of the current lease; null: nobody holds it
    died_in    text,                     -- of a dead letter: the actor in whose queue it died,
    died_after integer,                  -- and after how many deliveries
    body       bytea NOT NULL
);

-- The one path of takes, of depth, and of delete. Every take changes ready_at, so no update of this table is HOT
-- whatever its fill factor; pages are therefore packed full, which keeps the table small enough to stay in memory.
CREATE INDEX IF NOT EXISTS queue_messages_ready ON queue_messages (queue, ready_at, id);

-- Bodies live for moments: compressing them costs more than it saves.
ALTER TABLE queue_messages ALTER COLUMN body SET STORAGE EXTERNAL;

-- Every message leaves two or three dead rows, so vacuum follows by count, not by share of the table, and does not
-- pause. Truncation is off: it takes an exclusive lock for pages that the next burst needs again.
ALTER TABLE queue_messages SET (
    fillfactor = 100,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 20000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = off,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_cost_delay = 0,
    toast.vacuum_truncate = off
);

COMMENT ON TABLE queue_messages IS 'asya queues, schema 1';

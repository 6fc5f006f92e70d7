-- Of an envelope whose queue was missing when it was last published: the reason, which the log of its task has.
ALTER TABLE outbox ADD COLUMN unroutable text;

-- What waits to be delivered, measured each second by one process for all. The figures hold until `valid_until`; after
-- that no call is refused for them, and any process may measure.
CREATE TABLE backlog (
    id          smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    measurer    text,
    figures     json NOT NULL DEFAULT '{}',
    valid_until timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
INSERT INTO backlog DEFAULT VALUES;

-- With the defaults, a table of 10 million rows waits for two million dead or new ones.
ALTER TABLE task_hops SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE task_updates SET (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE task_bodies SET (autovacuum_vacuum_insert_scale_factor = 0.05);

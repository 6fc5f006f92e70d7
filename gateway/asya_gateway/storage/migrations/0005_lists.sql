-- concurrently
-- Lists of what has ended: by status, and of one flow, however rare among an owner's tasks; and of all owners.
-- A file that begins as this one does runs outside a transaction, statement by statement, and from its first one again
-- where it was interrupted: what was left half built is dropped and built anew.

-- What was ended without `ended_as`: by the pods of the version before, until the last of them is gone.
DROP INDEX CONCURRENTLY IF EXISTS tasks_ended_unmarked;

CREATE INDEX CONCURRENTLY tasks_ended_unmarked ON tasks (owner, created_at DESC, id DESC)
    WHERE finished_at IS NOT NULL AND ended_as IS NULL;

-- In chunks, in the order of ids as everywhere, each committed by itself: nobody waits long for a row.
DO $$
DECLARE
    last_id text COLLATE "C" := '';
BEGIN
    LOOP
        WITH old AS (
            SELECT id FROM tasks WHERE id > last_id ORDER BY id LIMIT 5000
        ), locked AS (
            SELECT id FROM tasks WHERE id IN (SELECT id FROM old) AND finished_at IS NOT NULL AND ended_as IS NULL
            ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
        ), marked AS (
            UPDATE tasks t SET ended_as = t.status FROM locked l WHERE t.id = l.id
        )
        SELECT max(id) INTO last_id FROM old;
        COMMIT;
        EXIT WHEN last_id IS NULL;
    END LOOP;
END $$;

DROP INDEX CONCURRENTLY IF EXISTS tasks_ended_by_owner;

CREATE INDEX CONCURRENTLY tasks_ended_by_owner ON tasks (owner, ended_as, created_at DESC, id DESC)
    WHERE ended_as IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS tasks_ended_by_flow;

CREATE INDEX CONCURRENTLY tasks_ended_by_flow ON tasks (owner, flow, ended_as, created_at DESC, id DESC)
    WHERE ended_as IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS tasks_ended_by_time;

CREATE INDEX CONCURRENTLY tasks_ended_by_time ON tasks (ended_as, created_at DESC, id DESC)
    WHERE ended_as IS NOT NULL;

-- Superfluous now: each cost every call a write when it was accepted, and another when it ended.
DROP INDEX CONCURRENTLY IF EXISTS tasks_by_owner;

DROP INDEX CONCURRENTLY IF EXISTS tasks_by_time;

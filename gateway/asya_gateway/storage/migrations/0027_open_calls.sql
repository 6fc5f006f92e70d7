-- concurrently
-- An owner's open tasks, calls and children apart: what lists calls alone, or counts them, passes no fan-out. Each task is
-- in one of the two, so that a create writes as many indexes as before.
DROP INDEX CONCURRENTLY IF EXISTS tasks_open_calls;

CREATE INDEX CONCURRENTLY tasks_open_calls ON tasks (owner, created_at DESC, id DESC)
    WHERE finished_at IS NULL AND parent_id IS NULL;

DROP INDEX CONCURRENTLY IF EXISTS tasks_open_children_by_owner;

CREATE INDEX CONCURRENTLY tasks_open_children_by_owner ON tasks (owner, created_at DESC, id DESC)
    WHERE finished_at IS NULL AND parent_id IS NOT NULL;

-- Pods of the version before list an owner's open tasks by tasks_open_by_time meanwhile.
DROP INDEX CONCURRENTLY IF EXISTS tasks_open;

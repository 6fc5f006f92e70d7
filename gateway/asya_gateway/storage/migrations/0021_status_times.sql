-- concurrently
-- When a task got its status, for lists in that order. It has no index, so that updates stay in their page. Not written
-- where another column tells the time: created_at of a pending task, finished_at of an ended one. Pods of the version
-- before leave it as it is (storage/a2a/listing.py).
ALTER TABLE tasks ADD COLUMN IF NOT EXISTS status_at timestamptz;

-- Calls that have ended, in the order of their ends. Children are no calls, and a task never becomes one.
DROP INDEX CONCURRENTLY IF EXISTS tasks_ended_calls;

CREATE INDEX CONCURRENTLY tasks_ended_calls ON tasks (owner, finished_at DESC, id DESC)
    WHERE finished_at IS NOT NULL AND parent_id IS NULL;

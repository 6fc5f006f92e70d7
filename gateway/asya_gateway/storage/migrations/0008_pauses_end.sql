-- concurrently
-- Until when a question may be answered: infinity once that has been looked at. Pods of the version before leave it
-- empty, and whoever looks next gives such a pause its time.
ALTER TABLE task_pauses ADD COLUMN IF NOT EXISTS expires_at timestamptz;

DROP INDEX CONCURRENTLY IF EXISTS task_pauses_open;

CREATE INDEX CONCURRENTLY task_pauses_open ON task_pauses (expires_at) WHERE answered_at IS NULL;

-- The status with which a task ended, and nothing before: what an index mentions, in its condition too, ends HOT
-- updates when it changes, and reports change `status`. Pods of the version before leave it empty.
ALTER TABLE tasks ADD COLUMN ended_as text;

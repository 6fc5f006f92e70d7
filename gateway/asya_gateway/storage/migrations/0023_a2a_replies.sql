-- message or auto: the task is to be answered by a direct message, and its client does not know it. Null: it is a task for
-- its client.
ALTER TABLE a2a_tasks ADD COLUMN reply text;

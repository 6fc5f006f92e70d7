-- Answers accepted so far, and what they changed; empty in a task that nobody has answered, which costs it no byte.
-- incarnation: how many answers. own_incarnation: the last one that our x-resume carried, which goes on under the task's
-- own id. answered_progress: the progress at the last answer that another crew carried, whose route begins anew.
ALTER TABLE tasks ADD COLUMN incarnation integer, ADD COLUMN own_incarnation integer,
    ADD COLUMN answered_progress double precision;

-- The id under which the pause was reported, where it is not the task's own.
ALTER TABLE task_pauses ADD COLUMN reported_as text;

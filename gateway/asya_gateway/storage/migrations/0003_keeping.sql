-- How far retention has come, a row for each kind of thing that it removes before the task itself: without it
-- every chunk would begin at the oldest finished task again, and look at all that it has emptied already.
CREATE TABLE retention (
    kind        text PRIMARY KEY,
    finished_at timestamptz NOT NULL DEFAULT '-infinity',
    task_id     text COLLATE "C" NOT NULL DEFAULT ''
);
INSERT INTO retention (kind) VALUES ('hops'), ('updates');

-- The order in which retention goes on.
CREATE INDEX tasks_finished_in_order ON tasks (finished_at, id) WHERE finished_at IS NOT NULL;
DROP INDEX tasks_finished;

-- Children that may have outlived their parents, few among many finished ones.
CREATE INDEX tasks_open_children ON tasks (parent_id) WHERE parent_id IS NOT NULL AND finished_at IS NULL;

-- Lists: of what is under way, few among many that are finished, and of everybody's tasks.
CREATE INDEX tasks_open ON tasks (owner, created_at DESC, id DESC) WHERE finished_at IS NULL;
CREATE INDEX tasks_by_time ON tasks (created_at DESC, id DESC);

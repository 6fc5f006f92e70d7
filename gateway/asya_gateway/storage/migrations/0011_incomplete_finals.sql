-- Tasks whose final report arrived incompletely: it may come again until `due_at`, then the task fails. A row is
-- removed when its time has come, however the task ended.
CREATE TABLE incomplete_finals (
    task_id    text COLLATE "C" PRIMARY KEY,
    arrived_at timestamptz NOT NULL,
    due_at     timestamptz NOT NULL
);

CREATE INDEX incomplete_finals_due ON incomplete_finals (due_at);

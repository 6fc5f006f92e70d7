-- concurrently
-- Trees of tasks of any size, and the list of everybody's open tasks.

-- A task's children in the order in which they are listed, and in which they are ended: page by page, each read once.
DROP INDEX CONCURRENTLY IF EXISTS tasks_children;

CREATE INDEX CONCURRENTLY tasks_children ON tasks (parent_id, created_at DESC, id DESC) WHERE parent_id IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS tasks_by_parent;

-- Which tasks have open children, told apart by whether a success of the parent ends them: the sweep for orphans goes
-- from parent to parent and not from child to child.
DROP INDEX CONCURRENTLY IF EXISTS tasks_open_children_by_kind;

CREATE INDEX CONCURRENTLY tasks_open_children_by_kind ON tasks (ends_itself, parent_id)
    WHERE parent_id IS NOT NULL AND finished_at IS NULL;

DROP INDEX CONCURRENTLY IF EXISTS tasks_open_children;

-- Open tasks of all owners, newest first.
DROP INDEX CONCURRENTLY IF EXISTS tasks_open_by_time;

CREATE INDEX CONCURRENTLY tasks_open_by_time ON tasks (created_at DESC, id DESC) WHERE finished_at IS NULL;

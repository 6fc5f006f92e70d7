-- concurrently
-- An owner's tasks of a conversation, whose id callers choose: whatever tasks of others have the same one, they are not
-- looked at.
DROP INDEX CONCURRENTLY IF EXISTS tasks_conversations;

CREATE INDEX CONCURRENTLY tasks_conversations ON tasks (context_id, owner, created_at DESC, id DESC)
    WHERE context_id IS NOT NULL;

DROP INDEX CONCURRENTLY IF EXISTS tasks_by_context;

-- Tasks of MCP's revision 2025-11-25 that were made in sessions. What is told of them belongs to no open request any
-- more, so it travels on the standalone stream of the session, under the progressToken of the call that made the task.
CREATE TABLE mcp_session_tasks (
    session bytea NOT NULL,
    task_id text COLLATE "C" NOT NULL,
    token   json,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (session, task_id)
);

-- When the stream on which a request was sent was last known to be open. Pods of the version before leave it null.
ALTER TABLE mcp_server_requests ADD COLUMN held_at timestamptz;

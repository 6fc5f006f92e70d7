-- Sessions of MCP's revisions with a handshake. The id is a secret, so that its SHA-256 stands for it everywhere. `source`
-- is the network of a caller without an identity, "" for others. `version` is raised by every change that replicas must
-- learn of; `stream` numbers the standalone streams, of which the newest is the open one; `events` numbers the event log.
CREATE TABLE mcp_sessions (
    key          bytea PRIMARY KEY CHECK (length(key) = 32),
    transport    text COLLATE "C" NOT NULL,
    owner        text COLLATE "C" NOT NULL,
    source       text COLLATE "C" NOT NULL DEFAULT '',
    revocables   text[] NOT NULL DEFAULT '{}',
    revision     text COLLATE "C" NOT NULL DEFAULT '',
    capabilities json NOT NULL DEFAULT '{}',
    client       json NOT NULL DEFAULT '{}',
    log_level    text COLLATE "C",
    uris         text[] NOT NULL DEFAULT '{}',
    version      bigint NOT NULL DEFAULT 1,
    stream       bigint NOT NULL DEFAULT 0,
    events       bigint NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_at      timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 70);
CREATE INDEX mcp_sessions_by_owner ON mcp_sessions (owner, source, used_at);
CREATE INDEX mcp_sessions_by_use ON mcp_sessions (used_at);

-- The open calls of sessions, by the hash of the JSON-RPC id: what a cancellation finds on any replica, and from what a
-- stream is made again. Without a task the row says that a cancellation came before the call was stored.
CREATE TABLE mcp_calls (
    session  bytea NOT NULL,
    request  bytea NOT NULL CHECK (length(request) = 16),
    task_id  text COLLATE "C",
    call     json,
    canceled boolean NOT NULL DEFAULT false,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (session, request)
);

-- Requests of the gateway to clients: the event log of a session. `number` is the position in it. `purpose` is what the
-- request is for, so that a replica that goes on with a call finds its request instead of asking again. `state` is what
-- the asker needs to go on.
CREATE TABLE mcp_server_requests (
    session  bytea NOT NULL,
    id       text COLLATE "C" NOT NULL,
    number   bigint NOT NULL,
    stream   bytea NOT NULL,
    purpose  text COLLATE "C" NOT NULL,
    method   text COLLATE "C" NOT NULL,
    params   json NOT NULL,
    state    text,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    outcome  text COLLATE "C",
    response json,
    PRIMARY KEY (session, id)
);
CREATE UNIQUE INDEX mcp_server_requests_by_purpose ON mcp_server_requests (session, purpose);

-- Messages for streams of HTTP+SSE that another replica holds.
CREATE TABLE mcp_inbox (
    session bytea NOT NULL,
    id      bigint GENERATED ALWAYS AS IDENTITY,
    scopes  text[],
    body    text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (session, id)
);

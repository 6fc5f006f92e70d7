-- What is exposed: one row, which every pod serves. The hashes tell a new text of the ConfigMap from an old one
-- that a lagging kubelet still mounts; the epoch tells the leading operator from a former one.
CREATE TABLE registry (
    id                smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    generation        bigint NOT NULL DEFAULT 0,
    epoch             bigint NOT NULL DEFAULT 0,
    leader            text NOT NULL DEFAULT '',
    operator_seen_at  timestamptz,
    configmap_hash    text,
    superseded_hashes text[] NOT NULL DEFAULT '{}',
    configmap         json NOT NULL DEFAULT '{"flows":[],"problems":[]}',
    resources         json NOT NULL DEFAULT '{"flows":[],"problems":[]}',
    -- Counted apart: PostgreSQL cannot look into json that carries an escaped NUL, which a schema may.
    configmap_flows   integer NOT NULL DEFAULT 0,
    resource_flows    integer NOT NULL DEFAULT 0,
    updated_at        timestamptz NOT NULL DEFAULT now()
);
INSERT INTO registry DEFAULT VALUES;

-- Who serves which generation; a row lives as long as its heartbeats, and its pod deletes it when it ends.
CREATE TABLE gateway_pods (
    name         text PRIMARY KEY,
    mode         text NOT NULL,
    generation   bigint NOT NULL,
    started_at   timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL
) WITH (fillfactor = 50);

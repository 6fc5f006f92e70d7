-- How often each kind of identity data has changed. A writer raises the version in its own transaction, and the lock of
-- this row makes the order of versions the order of commits: whoever sees a version sees everything below it.
CREATE TABLE identity_versions (
    kind    text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO identity_versions (kind) VALUES ('keys'), ('revocations');

-- Keys of callers. A name is one caller, and may have several living secrets while they are rotated. Of the secret only
-- its hash is stored.
CREATE TABLE api_keys (
    id           text COLLATE "C" PRIMARY KEY,
    name         text COLLATE "C" NOT NULL,
    hash         bytea NOT NULL CHECK (length(hash) = 32),
    scopes       text[] NOT NULL,
    roles        text[] NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
) WITH (fillfactor = 70);
CREATE INDEX api_keys_by_name ON api_keys (name);

-- What ended before its time, for pods that still honour it: `key:<id>`, `grant:<id>`, `client:<hash>`. A row is kept
-- until everything that the subject was honoured for has expired.
CREATE TABLE revocations (
    subject text COLLATE "C" PRIMARY KEY,
    at      timestamptz NOT NULL,
    until   timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX revocations_by_version ON revocations (version);
CREATE INDEX revocations_by_until ON revocations (until);

-- What no other row records: who was refused, who was admitted, what was done to tasks, keys and grants. Refusals are
-- counted in one row for each source, reason and minute, and of successes there is one for each principal, source and
-- minute, so that callers cannot fill the table.
CREATE TABLE audit (
    id        text COLLATE "C" PRIMARY KEY,
    at        timestamptz NOT NULL,
    event     text COLLATE "C" NOT NULL,
    principal text,
    via       text,
    source    text,
    subject   text,
    reason    text,
    detail    json,
    count     bigint NOT NULL DEFAULT 1
);
CREATE INDEX audit_by_time ON audit (at, id);
CREATE UNIQUE INDEX audit_refusals ON audit (at, source, reason) WHERE event = 'refused';
CREATE UNIQUE INDEX audit_admissions ON audit (at, principal, source) WHERE event = 'admitted';

-- How the caller of a task proved itself, and the address it called from.
ALTER TABLE tasks ADD COLUMN via text, ADD COLUMN source text;

-- Whether the pod admits callers without credentials; null for pods of a version that knows none.
ALTER TABLE gateway_pods ADD COLUMN open boolean;

-- A task is one narrow row that reports change; what is large and written once stands in task_bodies.
-- The low fillfactor and the absence of indexes on anything that a report changes keep updates HOT.
CREATE TABLE tasks (
    id             text COLLATE "C" PRIMARY KEY,
    parent_id      text COLLATE "C",
    context_id     text,
    owner          text NOT NULL,
    flow           text NOT NULL,
    surface        text NOT NULL,
    status         text NOT NULL,
    route          json NOT NULL,
    hop            integer NOT NULL DEFAULT 0,
    progress       double precision NOT NULL DEFAULT 0,
    message        text,
    actor          text,
    ends_itself    boolean NOT NULL DEFAULT true,
    deadline_at    timestamptz,
    remaining      interval,
    pause_id       text,
    last_seq       bigint NOT NULL DEFAULT 1,
    recent_reports bigint[] NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    finished_at    timestamptz
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX tasks_by_owner ON tasks (owner, created_at DESC, id DESC);
CREATE INDEX tasks_by_context ON tasks (context_id, created_at DESC) WHERE context_id IS NOT NULL;
CREATE INDEX tasks_by_parent ON tasks (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX tasks_overdue ON tasks (deadline_at) WHERE finished_at IS NULL;
CREATE INDEX tasks_finished ON tasks (finished_at) WHERE finished_at IS NOT NULL;

-- kind: payload, result or error; each written once.
CREATE TABLE task_bodies (
    task_id text COLLATE "C" NOT NULL,
    kind    text NOT NULL,
    body    json NOT NULL,
    PRIMARY KEY (task_id, kind)
);

-- The log: seq counts from 1 without gaps within a task.
CREATE TABLE task_updates (
    task_id  text COLLATE "C" NOT NULL,
    seq      bigint NOT NULL,
    kind     text NOT NULL,
    status   text NOT NULL,
    progress double precision NOT NULL,
    detail   json NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (task_id, seq)
);

-- Who works, or worked, on which hop: the claim that makes a redelivered hop run once.
CREATE TABLE task_hops (
    task_id     text COLLATE "C" NOT NULL,
    hop         text COLLATE "C" NOT NULL,
    attempt     integer NOT NULL,
    claimant    text NOT NULL,
    state       text NOT NULL,
    lease_until timestamptz NOT NULL,
    frames      json,
    PRIMARY KEY (task_id, hop)
) WITH (fillfactor = 70);

-- Questions asked and answered; a pause id is never used twice within a task.
CREATE TABLE task_pauses (
    task_id     text COLLATE "C" NOT NULL,
    pause_id    text COLLATE "C" NOT NULL,
    question    json NOT NULL,
    checkpoint  json,
    created_at  timestamptz NOT NULL,
    answer      json,
    answer_key  bigint,
    answered_at timestamptz,
    PRIMARY KEY (task_id, pause_id)
);

-- Envelopes that are committed and not yet confirmed by the queue system. A row is born leased to the process
-- that accepted it; whoever finds the lease run out takes it over.
CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id    text COLLATE "C" NOT NULL,
    actor      text COLLATE "C" NOT NULL,
    body       text NOT NULL,
    not_before timestamptz NOT NULL,
    attempts   integer NOT NULL DEFAULT 0,
    last_error text,
    created_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX outbox_due ON outbox (actor, not_before);

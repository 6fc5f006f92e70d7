-- Where the changes of a task are delivered, over which channel (`a2a`: push notifications), and up to which entry of the
-- task's log that was done. The log is the outbox: a row whose `delivered_seq` is below the task's last entry lags.
-- `name` is its id within task and channel, `status` the task's at `delivered_seq`, `options` what the channel keeps,
-- `sealed` its secrets. `done`: the end was delivered. A pod that delivers holds the row until `lease_until`.
CREATE TABLE destinations (
    task_id         text COLLATE "C" NOT NULL,
    channel         text COLLATE "C" NOT NULL,
    name            text COLLATE "C" NOT NULL,
    owner           text COLLATE "C" NOT NULL,
    revocables      text[] NOT NULL DEFAULT '{}',
    url             text NOT NULL,
    host            text COLLATE "C" NOT NULL,
    options         json NOT NULL,
    sealed          text,
    delivered_seq   bigint NOT NULL,
    status          text COLLATE "C" NOT NULL DEFAULT '',
    attempts        integer NOT NULL DEFAULT 0,
    not_before      timestamptz NOT NULL DEFAULT clock_timestamp(),
    failing_since   timestamptz,
    disabled_reason text,
    done            boolean NOT NULL DEFAULT false,
    leased_by       text COLLATE "C",
    lease_until     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (task_id, channel, name)
) WITH (fillfactor = 70);
CREATE INDEX destinations_open ON destinations (not_before) WHERE NOT done AND disabled_reason IS NULL;
CREATE INDEX destinations_by_owner ON destinations (owner) WHERE NOT done AND disabled_reason IS NULL;

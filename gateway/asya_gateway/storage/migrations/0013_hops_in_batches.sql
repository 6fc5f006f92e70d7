-- Envelopes of a hop that exceed one report, until the hop's end hands them on.
CREATE TABLE hop_parts (
    task_id     text COLLATE "C" NOT NULL,
    hop         text COLLATE "C" NOT NULL,
    claimant    text COLLATE "C" NOT NULL,
    part        integer NOT NULL,
    number      integer NOT NULL,
    actor       text COLLATE "C" NOT NULL,
    envelope_id text COLLATE "C" NOT NULL,
    body        text NOT NULL,
    child       json,
    PRIMARY KEY (task_id, hop, claimant, part, number)
);
ALTER TABLE hop_parts ALTER COLUMN body SET STORAGE EXTERNAL;

-- Crews that run, and whether they have hooks. A row counts for some seconds after `said_at`.
CREATE TABLE crews (
    name    text COLLATE "C" PRIMARY KEY,
    sink    text COLLATE "C" NOT NULL,
    hooks   boolean NOT NULL,
    said_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Of an envelope that a hop sent: when a queue that is still missing fails its task, and the actor to which the
-- failure goes. Without them it waits for its queue.
ALTER TABLE outbox ADD COLUMN unroutable_at timestamptz, ADD COLUMN sump text COLLATE "C";

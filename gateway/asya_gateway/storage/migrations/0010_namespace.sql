-- Which namespace this database belongs to: what is in it (queues' names, the outbox, the registry) is of one alone.
CREATE TABLE installation (
    id         smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    namespace  text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now()
);

-- What pauses ask, and the answers: a row a key, which no later pause of the task uses again. A pause that asks one form
-- has its id as key; pods of the version before make no row for it. answer: what the actor gets for the key.
-- set_aside: the surfaces on which it was declined, or its URL opened, while it stays open for the others.
CREATE TABLE task_inputs (
    task_id     text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    pause_id    text COLLATE "C" NOT NULL,
    set_aside   text[] NOT NULL DEFAULT '{}',
    action      text,
    answer      json,
    answer_key  bigint,
    answered_at timestamptz,
    PRIMARY KEY (task_id, key)
);

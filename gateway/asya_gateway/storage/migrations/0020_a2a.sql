-- How the client of an A2A task speaks, and what it calls it. Beside the task's row, which stays as it is.
CREATE TABLE a2a_tasks (
    task_id        text COLLATE "C" PRIMARY KEY,
    owner          text NOT NULL,
    dialect        text NOT NULL,
    context_id     text NOT NULL,
    client_task_id text
);
CREATE UNIQUE INDEX a2a_tasks_by_client_id ON a2a_tasks (owner, client_task_id) WHERE client_task_id IS NOT NULL;

-- The messages of a conversation, in the JSON of A2A 1.0.
CREATE TABLE a2a_messages (
    task_id text COLLATE "C" NOT NULL,
    number  integer NOT NULL,
    message json NOT NULL,
    PRIMARY KEY (task_id, number)
);

-- Keys by which callers repeat a request. A caller's key names one task and one digest of what was asked; a row
-- lives as long as its task.
CREATE TABLE call_keys (
    owner   text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    task_id text COLLATE "C" NOT NULL,
    digest  bytea NOT NULL,
    PRIMARY KEY (owner, key)
);

CREATE INDEX call_keys_by_task ON call_keys (task_id);

-- What was done to a task under which key (cancel, answer); apart from the keys of calls.
CREATE TABLE task_request_keys (
    task_id text COLLATE "C" NOT NULL,
    action  text NOT NULL,
    key     text COLLATE "C" NOT NULL,
    digest  bytea NOT NULL,
    PRIMARY KEY (task_id, action, key)
);

-- Which task a task runs again.
CREATE TABLE task_retries (
    task_id  text COLLATE "C" PRIMARY KEY,
    retry_of text COLLATE "C" NOT NULL
);

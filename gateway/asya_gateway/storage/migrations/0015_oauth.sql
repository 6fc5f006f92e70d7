-- Clients that registered themselves, and those that an operator made. The id of the former is a secret, so that the
-- key stands for it everywhere: half of its SHA-256.
CREATE TABLE oauth_clients (
    key           text COLLATE "C" PRIMARY KEY,
    kind          text COLLATE "C" NOT NULL,
    name          text NOT NULL,
    redirect_uris text[] NOT NULL,
    scopes        text[] NOT NULL,
    grant_types   text[] NOT NULL,
    secret        bytea CHECK (length(secret) = 32),
    public_id     text,
    created_at    timestamptz NOT NULL
);
CREATE INDEX oauth_registrations ON oauth_clients (created_at) WHERE kind = 'registered';

-- Authorization codes, by their SHA-256. A used one is kept for a while, so that a second use ends its grant.
CREATE TABLE oauth_codes (
    code         bytea PRIMARY KEY CHECK (length(code) = 32),
    client       text COLLATE "C" NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    client_name  text NOT NULL,
    public_id    text,
    redirect_uri text NOT NULL,
    challenge    text COLLATE "C" NOT NULL,
    scopes       text[] NOT NULL,
    resource     text NOT NULL,
    person       text,
    claims       json,
    expires_at   timestamptz NOT NULL,
    grant_id     text COLLATE "C"
) WITH (fillfactor = 70);
CREATE INDEX oauth_codes_by_end ON oauth_codes (expires_at);

-- What clients were permitted. A grant lives while it is not revoked and its newest refresh token can be used.
CREATE TABLE oauth_grants (
    id          text COLLATE "C" PRIMARY KEY,
    client      text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    client_name text NOT NULL,
    public_id   text,
    scopes      text[] NOT NULL,
    resource    text NOT NULL,
    person      text,
    claims      json,
    created_at  timestamptz NOT NULL,
    used_at     timestamptz NOT NULL,
    idle_at     timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    revoked_at  timestamptz,
    source      text NOT NULL DEFAULT ''
) WITH (fillfactor = 70);
CREATE INDEX oauth_grants_by_client ON oauth_grants (client, used_at) WHERE revoked_at IS NULL;
CREATE INDEX oauth_grants_by_idle ON oauth_grants (idle_at);

-- Refresh tokens, by their SHA-256. `sealed` is the successor, encrypted under a key that only the token itself gives.
CREATE TABLE oauth_refresh_tokens (
    token      bytea PRIMARY KEY CHECK (length(token) = 32),
    grant_id   text COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL,
    rotated_at timestamptz,
    sealed     bytea
) WITH (fillfactor = 70);
CREATE INDEX oauth_refresh_tokens_by_grant ON oauth_refresh_tokens (grant_id, rotated_at);
CREATE INDEX oauth_refresh_tokens_by_end ON oauth_refresh_tokens (expires_at);
CREATE INDEX oauth_refresh_tokens_sealed ON oauth_refresh_tokens (rotated_at) WHERE sealed IS NOT NULL;

-- Authorizations that wait for a person, who is at the upstream issuer or looks at the page of consent. `state` and
-- `browser` are hashes of what the person's browser brings back.
CREATE TABLE oauth_logins (
    state      bytea PRIMARY KEY CHECK (length(state) = 32),
    browser    bytea NOT NULL CHECK (length(browser) = 32),
    request    json NOT NULL,
    person     text,
    claims     json,
    expires_at timestamptz NOT NULL
);
CREATE INDEX oauth_logins_by_end ON oauth_logins (expires_at);

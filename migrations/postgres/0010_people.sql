-- People's passwords, sessions and one-time links; the codes that applications exchange for keys, and the keys they got.
-- Times are Unix milliseconds, amounts nano-dollars. The same tables stand in ../sqlite.

ALTER TABLE accounts ADD COLUMN password_hash TEXT;
CREATE UNIQUE INDEX accounts_by_address ON accounts (lower(email));

-- What every replica must know and nobody else: made by whichever starts first.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- A browser that is signed in. Its cookie carries the id and a number; each renewal counts the number up, so that a
-- cookie that was copied shows itself when both are used.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    number BIGINT NOT NULL,
    renewed_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account);

-- Tries to sign in, by a keyed hash of the address that tried and of the account it tried for.
CREATE TABLE sign_in_attempts (
    subject BYTEA NOT NULL PRIMARY KEY,
    attempts BIGINT NOT NULL,
    since BIGINT NOT NULL
);

-- Links that may be used once: to set a password, or to sign up. Only the hash of their secret is kept.
CREATE TABLE links (
    hash BYTEA NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('password', 'invitation')),
    account TEXT REFERENCES accounts (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE oauth_codes (
    hash BYTEA NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    app TEXT NOT NULL,
    app_name TEXT NOT NULL,
    challenge TEXT,
    method TEXT CHECK (method IN ('S256', 'plain')),
    key_name TEXT NOT NULL,
    limit_nanos BIGINT,
    limit_reset TEXT CHECK (limit_reset IN ('daily', 'weekly', 'monthly')),
    key_expires_at BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    redeemed_at BIGINT
);
CREATE INDEX oauth_codes_by_end ON oauth_codes (expires_at);

-- Which application a key was made for.
CREATE TABLE app_keys (
    key_hash BYTEA NOT NULL PRIMARY KEY REFERENCES keys (hash),
    account TEXT NOT NULL REFERENCES accounts (id),
    app TEXT NOT NULL,
    app_name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX app_keys_by_account ON app_keys (account, created_at);

-- A statement shows grants one by one and charges by the day; charges are far too many to be indexed here.
CREATE INDEX entries_to ON entries (credit, created_at) WHERE kind <> 'charge';
CREATE INDEX entries_from ON entries (debit, created_at) WHERE kind <> 'charge';
CREATE INDEX generations_by_account ON generations (account, created_at);

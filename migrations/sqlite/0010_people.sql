-- People's passwords, sessions and one-time links; the codes that applications exchange for keys, and the keys they got.
-- Times are Unix milliseconds, amounts nano-dollars. The same tables stand in ../postgres.

ALTER TABLE accounts ADD COLUMN password_hash TEXT;
CREATE UNIQUE INDEX accounts_by_address ON accounts (lower(email));

-- What every replica must know and nobody else: made by whichever starts first.
CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- A browser that is signed in. Its cookie carries the id and a number; each renewal counts the number up, so that a
-- cookie that was copied shows itself when both are used.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    number INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_account ON sessions (account);

-- Tries to sign in, by a keyed hash of the address that tried and of the account it tried for.
CREATE TABLE sign_in_attempts (
    subject BLOB NOT NULL PRIMARY KEY,
    attempts INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;

-- Links that may be used once: to set a password, or to sign up. Only the hash of their secret is kept.
CREATE TABLE links (
    hash BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('password', 'invitation')),
    account TEXT REFERENCES accounts (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE oauth_codes (
    hash BLOB NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    app TEXT NOT NULL,
    app_name TEXT NOT NULL,
    challenge TEXT,
    method TEXT CHECK (method IN ('S256', 'plain')),
    key_name TEXT NOT NULL,
    limit_nanos INTEGER,
    limit_reset TEXT CHECK (limit_reset IN ('daily', 'weekly', 'monthly')),
    key_expires_at INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    redeemed_at INTEGER
) STRICT;
CREATE INDEX oauth_codes_by_end ON oauth_codes (expires_at);

-- Which application a key was made for.
CREATE TABLE app_keys (
    key_hash BLOB NOT NULL PRIMARY KEY REFERENCES keys (hash),
    account TEXT NOT NULL REFERENCES accounts (id),
    app TEXT NOT NULL,
    app_name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX app_keys_by_account ON app_keys (account, created_at);

-- A statement shows grants one by one and charges by the day; charges are far too many to be indexed here.
CREATE INDEX entries_to ON entries (credit, created_at) WHERE kind <> 'charge';
CREATE INDEX entries_from ON entries (debit, created_at) WHERE kind <> 'charge';
CREATE INDEX generations_by_account ON generations (account, created_at);

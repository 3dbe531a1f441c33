-- How people sign in with an account elsewhere: whom an issuer (OpenID Connect) calls by which subject.
-- Times are Unix milliseconds. The same table stands in ../postgres.

CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (id),
    -- What the issuer said when it was connected, to tell one from another.
    email TEXT,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT;
CREATE INDEX identities_by_account ON identities (account);

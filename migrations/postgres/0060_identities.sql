-- How people sign in with an account elsewhere: whom an issuer (OpenID Connect) calls by which subject.
-- Times are Unix milliseconds. The same table stands in ../sqlite.

CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account TEXT NOT NULL REFERENCES accounts (id),
    -- What the issuer said when it was connected, to tell one from another.
    email TEXT,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_by_account ON identities (account);

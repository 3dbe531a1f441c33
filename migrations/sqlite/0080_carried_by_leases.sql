-- A lease carries what was charged to it until it moves: the counters of its key and its wallet lie on pages of their own,
-- as strewn as a million keys are, and need not be written for every run. What is carried was all charged on one day, of
-- which the midnight stands beside it, UTC.

ALTER TABLE leases ADD COLUMN carried_nanos INTEGER NOT NULL DEFAULT 0 CHECK (carried_nanos >= 0);
ALTER TABLE leases ADD COLUMN carried_day INTEGER NOT NULL DEFAULT 0;
CREATE INDEX leases_by_account ON leases (account);

-- A version that knows nothing of this must not lose it.
CREATE TRIGGER leases_end_empty_handed BEFORE DELETE ON leases WHEN OLD.carried_nanos <> 0
BEGIN SELECT RAISE(ABORT, 'the lease still carries charges'); END;

-- The rows of a day lie together, since they are what is written; those of an account are found by an index that changes
-- with the first run of a day alone.
ALTER TABLE activity RENAME TO activity_before;
CREATE TABLE activity (
    account TEXT NOT NULL,
    day INTEGER NOT NULL,
    key_hash BLOB NOT NULL,
    model TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    requests INTEGER NOT NULL,
    tokens_prompt INTEGER NOT NULL,
    tokens_completion INTEGER NOT NULL,
    tokens_reasoning INTEGER NOT NULL,
    net_nanos INTEGER NOT NULL,
    discount_nanos INTEGER NOT NULL,
    fee_nanos INTEGER NOT NULL,
    PRIMARY KEY (day, account, key_hash, model, endpoint)
) STRICT, WITHOUT ROWID;
INSERT INTO activity (account, day, key_hash, model, endpoint, provider_name, requests, tokens_prompt, tokens_completion,
    tokens_reasoning, net_nanos, discount_nanos, fee_nanos)
SELECT account, day, key_hash, model, endpoint, provider_name, requests, tokens_prompt, tokens_completion,
    tokens_reasoning, net_nanos, discount_nanos, fee_nanos
FROM activity_before ORDER BY day, account, key_hash, model, endpoint;
DROP TABLE activity_before;
CREATE INDEX activity_by_account ON activity (account, day);

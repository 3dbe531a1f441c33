-- A lease carries what was charged to it until it moves: the counters of its key and its wallet lie on pages of their own,
-- as strewn as a million keys are, and need not be written for every run. What is carried was all charged on one day, of
-- which the midnight stands beside it, UTC.

ALTER TABLE leases ADD COLUMN carried_nanos BIGINT NOT NULL DEFAULT 0 CHECK (carried_nanos >= 0);
ALTER TABLE leases ADD COLUMN carried_day BIGINT NOT NULL DEFAULT 0;
CREATE INDEX leases_by_account ON leases (account);

-- A version that knows nothing of this must not lose it.
CREATE FUNCTION refuse_to_lose_charges() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the lease still carries charges'; END $$;
CREATE TRIGGER leases_end_empty_handed BEFORE DELETE ON leases FOR EACH ROW WHEN (OLD.carried_nanos <> 0)
    EXECUTE FUNCTION refuse_to_lose_charges();

-- The rows of a day lie together, since they are what is written; those of an account are found by an index that changes
-- with the first run of a day alone.
ALTER TABLE activity DROP CONSTRAINT activity_pkey, ADD PRIMARY KEY (day, account, key_hash, model, endpoint);
CREATE INDEX activity_by_account ON activity (account, day);

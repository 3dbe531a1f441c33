-- Accounts, keys, the double-entry ledger, and the credit that replicas borrow.
-- Amounts are nano-dollars, times Unix milliseconds from the application's clock. The same tables stand in ../sqlite.

CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    admin BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

-- One row whose number grows with each change of a key. Its row lock makes the numbers appear in the order of the
-- commits, so a reader that has seen a number has seen every smaller one.
CREATE TABLE key_changes (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    last BIGINT NOT NULL
);
INSERT INTO key_changes (id, last) VALUES (1, 0);

CREATE TABLE keys (
    hash BYTEA NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    management BOOLEAN NOT NULL,
    disabled BOOLEAN NOT NULL,
    limit_nanos BIGINT,
    limit_reset TEXT CHECK (limit_reset IN ('daily', 'weekly', 'monthly')),
    include_byok_in_limit BOOLEAN NOT NULL,
    creator TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    expires_at BIGINT,
    -- A deleted key keeps its row: its charges remain, and late ones may still arrive.
    deleted_at BIGINT,
    change_number BIGINT NOT NULL,
    -- The sum of its leases, and of its charges: all of them, and those since the start of a day, week and month.
    leased_nanos BIGINT NOT NULL DEFAULT 0 CHECK (leased_nanos >= 0),
    usage_nanos BIGINT NOT NULL DEFAULT 0,
    usage_daily_nanos BIGINT NOT NULL DEFAULT 0,
    usage_weekly_nanos BIGINT NOT NULL DEFAULT 0,
    usage_monthly_nanos BIGINT NOT NULL DEFAULT 0,
    day_start BIGINT NOT NULL DEFAULT 0,
    week_start BIGINT NOT NULL DEFAULT 0,
    month_start BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX keys_by_account ON keys (account, created_at, hash);
CREATE INDEX keys_by_change ON keys (change_number);

-- Double entry: wallet:ACCOUNT, payable:PROVIDER, and the operator's own three. The balance is credits minus debits.
CREATE TABLE ledger_accounts (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('wallet', 'payable', 'grants', 'purchases', 'fees')),
    balance_nanos BIGINT NOT NULL DEFAULT 0,
    -- Of a wallet: what replicas have borrowed, and what was ever charged.
    leased_nanos BIGINT NOT NULL DEFAULT 0 CHECK (leased_nanos >= 0),
    charged_nanos BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO ledger_accounts (id, kind) VALUES ('operator:grants', 'grants'), ('operator:purchases', 'purchases'), ('operator:fees', 'fees');

-- Entries and generations carry no foreign keys: a lookup or two per row is a price that every request would pay for
-- something `turnpike ledger verify` proves anyway.
CREATE TABLE entries (
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    amount_nanos BIGINT NOT NULL CHECK (amount_nanos > 0),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, reference)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'entries are append-only'; END $$;
CREATE TRIGGER entries_are_append_only BEFORE UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The columns are what SQL asks about; the whole run is in the record, as JSON.
CREATE TABLE generations (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    key_hash BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    settled_at BIGINT NOT NULL,
    model TEXT,
    provider TEXT,
    endpoint TEXT,
    tokens_prompt BIGINT NOT NULL,
    tokens_completion BIGINT NOT NULL,
    tokens_reasoning BIGINT NOT NULL,
    net_nanos BIGINT NOT NULL CHECK (net_nanos >= 0),
    record TEXT NOT NULL
);

-- Settlements that the database refuses by themselves, kept for a person to look at.
CREATE TABLE parked_settlements (
    id TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL,
    reason TEXT NOT NULL,
    parked_at BIGINT NOT NULL
);

-- A replica counts beats; another that sees its count stand still for long enough takes its leases back.
CREATE TABLE replicas (
    id TEXT NOT NULL PRIMARY KEY,
    beats BIGINT NOT NULL,
    started_at BIGINT NOT NULL
);

CREATE TABLE leases (
    replica TEXT NOT NULL REFERENCES replicas (id),
    key_hash BYTEA NOT NULL REFERENCES keys (hash),
    account TEXT NOT NULL,
    amount_nanos BIGINT NOT NULL CHECK (amount_nanos >= 0),
    PRIMARY KEY (replica, key_hash)
) WITH (fillfactor = 70);

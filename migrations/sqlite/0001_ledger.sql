-- Accounts, keys, the double-entry ledger, and the credit that replicas borrow.
-- Amounts are nano-dollars, times Unix milliseconds from the application's clock. The same tables stand in ../postgres.

CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    admin INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- One row whose number grows with each change of a key. Its row lock makes the numbers appear in the order of the
-- commits, so a reader that has seen a number has seen every smaller one.
CREATE TABLE key_changes (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL
) STRICT;
INSERT INTO key_changes (id, last) VALUES (1, 0);

CREATE TABLE keys (
    hash BLOB NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    management INTEGER NOT NULL,
    disabled INTEGER NOT NULL,
    limit_nanos INTEGER,
    limit_reset TEXT CHECK (limit_reset IN ('daily', 'weekly', 'monthly')),
    include_byok_in_limit INTEGER NOT NULL,
    creator TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    expires_at INTEGER,
    -- A deleted key keeps its row: its charges remain, and late ones may still arrive.
    deleted_at INTEGER,
    change_number INTEGER NOT NULL,
    -- The sum of its leases, and of its charges: all of them, and those since the start of a day, week and month.
    leased_nanos INTEGER NOT NULL DEFAULT 0 CHECK (leased_nanos >= 0),
    usage_nanos INTEGER NOT NULL DEFAULT 0,
    usage_daily_nanos INTEGER NOT NULL DEFAULT 0,
    usage_weekly_nanos INTEGER NOT NULL DEFAULT 0,
    usage_monthly_nanos INTEGER NOT NULL DEFAULT 0,
    day_start INTEGER NOT NULL DEFAULT 0,
    week_start INTEGER NOT NULL DEFAULT 0,
    month_start INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX keys_by_account ON keys (account, created_at, hash);
CREATE INDEX keys_by_change ON keys (change_number);

-- Double entry: wallet:ACCOUNT, payable:PROVIDER, and the operator's own three. The balance is credits minus debits.
CREATE TABLE ledger_accounts (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('wallet', 'payable', 'grants', 'purchases', 'fees')),
    balance_nanos INTEGER NOT NULL DEFAULT 0,
    -- Of a wallet: what replicas have borrowed, and what was ever charged.
    leased_nanos INTEGER NOT NULL DEFAULT 0 CHECK (leased_nanos >= 0),
    charged_nanos INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO ledger_accounts (id, kind) VALUES ('operator:grants', 'grants'), ('operator:purchases', 'purchases'), ('operator:fees', 'fees');

-- Entries and generations carry no foreign keys: a lookup or two per row is a price that every request would pay for
-- something `turnpike ledger verify` proves anyway.
CREATE TABLE entries (
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    amount_nanos INTEGER NOT NULL CHECK (amount_nanos > 0),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (kind, reference)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_are_never_deleted BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

-- The columns are what SQL asks about; the whole run is in the record, as JSON.
CREATE TABLE generations (
    id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    key_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    model TEXT,
    provider TEXT,
    endpoint TEXT,
    tokens_prompt INTEGER NOT NULL,
    tokens_completion INTEGER NOT NULL,
    tokens_reasoning INTEGER NOT NULL,
    net_nanos INTEGER NOT NULL CHECK (net_nanos >= 0),
    record TEXT NOT NULL
) STRICT;

-- Settlements that the database refuses by themselves, kept for a person to look at.
CREATE TABLE parked_settlements (
    id TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL,
    reason TEXT NOT NULL,
    parked_at INTEGER NOT NULL
) STRICT;

-- A replica counts beats; another that sees its count stand still for long enough takes its leases back.
CREATE TABLE replicas (
    id TEXT NOT NULL PRIMARY KEY,
    beats INTEGER NOT NULL,
    started_at INTEGER NOT NULL
) STRICT;

CREATE TABLE leases (
    replica TEXT NOT NULL REFERENCES replicas (id),
    key_hash BLOB NOT NULL REFERENCES keys (hash),
    account TEXT NOT NULL,
    amount_nanos INTEGER NOT NULL CHECK (amount_nanos >= 0),
    PRIMARY KEY (replica, key_hash)
) STRICT, WITHOUT ROWID;

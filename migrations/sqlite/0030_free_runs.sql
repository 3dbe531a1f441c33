-- How many runs of free models each account has begun: since the start of a minute, which is that of its first run, and of a
-- day. Times are Unix milliseconds. The same table stands in ../postgres.

CREATE TABLE free_runs (
    account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    minute_start INTEGER NOT NULL,
    minute_runs INTEGER NOT NULL,
    day_start INTEGER NOT NULL,
    day_runs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many runs of free models each account has begun: since the start of a minute, which is that of its first run, and of a
-- day. Times are Unix milliseconds. The same table stands in ../sqlite.

CREATE TABLE free_runs (
    account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
    minute_start BIGINT NOT NULL,
    minute_runs BIGINT NOT NULL,
    day_start BIGINT NOT NULL,
    day_runs BIGINT NOT NULL
);

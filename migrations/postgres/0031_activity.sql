-- What was used a day, kept by the settlement: activity and statements are read from here, never from the runs themselves.
-- Of a run: what was taken off its price, what the operator takes on top, and who counted its tokens. The same stands in ../sqlite.

ALTER TABLE generations ADD COLUMN discount_nanos BIGINT NOT NULL DEFAULT 0;
ALTER TABLE generations ADD COLUMN fee_nanos BIGINT NOT NULL DEFAULT 0;
ALTER TABLE generations ADD COLUMN usage_source TEXT;

-- The day is that of the charge, UTC: the Unix milliseconds of its midnight.
CREATE TABLE activity (
    account TEXT NOT NULL,
    day BIGINT NOT NULL,
    key_hash BYTEA NOT NULL,
    model TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    provider_name TEXT NOT NULL,
    requests BIGINT NOT NULL,
    tokens_prompt BIGINT NOT NULL,
    tokens_completion BIGINT NOT NULL,
    tokens_reasoning BIGINT NOT NULL,
    net_nanos BIGINT NOT NULL,
    discount_nanos BIGINT NOT NULL,
    fee_nanos BIGINT NOT NULL,
    PRIMARY KEY (account, day, key_hash, model, endpoint)
);

INSERT INTO activity (account, day, key_hash, model, endpoint, provider_name, requests, tokens_prompt, tokens_completion,
    tokens_reasoning, net_nanos, discount_nanos, fee_nanos)
SELECT account, settled_at - settled_at % 86400000, key_hash, COALESCE(model, 'unknown'), COALESCE(endpoint, 'unknown'),
    COALESCE(MIN(record::JSONB -> 'served' ->> 'provider_name'), 'unknown'), COUNT(*), SUM(LEAST(tokens_prompt, 1000000000000)), SUM(LEAST(tokens_completion, 1000000000000)), SUM(LEAST(tokens_reasoning, 1000000000000)),
    SUM(net_nanos), 0, 0
FROM generations WHERE endpoint IS NOT NULL OR net_nanos > 0 GROUP BY 1, 2, 3, 4, 5;

-- Fees and discounts come with every charge and are as many: statements read them from here, too.
DROP INDEX entries_to;
DROP INDEX entries_from;
CREATE INDEX entries_to ON entries (credit, created_at) WHERE kind NOT IN ('charge', 'fee', 'discount');
CREATE INDEX entries_from ON entries (debit, created_at) WHERE kind NOT IN ('charge', 'fee', 'discount');

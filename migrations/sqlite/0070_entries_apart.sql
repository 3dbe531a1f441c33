-- A list in the condition of an index is a table that SQLite builds anew for every row that is written, which cost more
-- than the entry itself; three comparisons are none. Postgres has no such price and keeps its form.

DROP INDEX entries_to;
DROP INDEX entries_from;
CREATE INDEX entries_to ON entries (credit, created_at) WHERE kind <> 'charge' AND kind <> 'fee' AND kind <> 'discount';
CREATE INDEX entries_from ON entries (debit, created_at) WHERE kind <> 'charge' AND kind <> 'fee' AND kind <> 'discount';

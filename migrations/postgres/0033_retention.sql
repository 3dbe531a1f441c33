-- Up to where runs were forgotten: those that began earlier may be missing, and what is left begins with an id no smaller than
-- this. The same table stands in ../sqlite.

CREATE TABLE forgotten (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    before_at BIGINT NOT NULL,
    first_id TEXT NOT NULL
);
INSERT INTO forgotten (id, before_at, first_id) VALUES (1, 0, '');

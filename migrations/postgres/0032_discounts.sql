-- What an account is let off the list price, in parts per million. The same column stands in ../sqlite.

ALTER TABLE accounts ADD COLUMN discount_ppm BIGINT NOT NULL DEFAULT 0 CHECK (discount_ppm BETWEEN 0 AND 1000000);

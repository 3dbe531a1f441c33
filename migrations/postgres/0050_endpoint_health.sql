-- What each process measured of each endpoint in the last day, as src/attempt/health/ writes it. A process knows its own
-- rows by its name and sums those of all others, living and past.
CREATE TABLE endpoint_health (
    replica TEXT NOT NULL,
    model TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    measured TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (replica, model, endpoint)
);

-- The decision log. Idempotent; the lock keeps processes that start together from racing.
SELECT pg_advisory_xact_lock(hashtext('sluice router analytics'));
CREATE TABLE IF NOT EXISTS router_decisions (
    query_id    text PRIMARY KEY,
    at          timestamptz NOT NULL,
    environment text NOT NULL,
    tenant      text NOT NULL,
    cohort      text NOT NULL,
    outcome     text NOT NULL,
    intent      text NOT NULL,
    confidence  double precision NOT NULL,
    tier        text NOT NULL,
    complexity  text NOT NULL,
    backends    text[] NOT NULL,
    cached      boolean NOT NULL,
    results     integer NOT NULL,
    latency_ms  double precision NOT NULL,
    query       text,
    detail      jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS router_decisions_at ON router_decisions (environment, at);
CREATE TABLE IF NOT EXISTS router_outcomes (
    id          uuid PRIMARY KEY, -- a batch sent twice counts once
    query_id    text NOT NULL,
    at          timestamptz NOT NULL,
    environment text NOT NULL,
    reward      double precision,
    complaint   boolean NOT NULL,
    signals     jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS router_outcomes_query ON router_outcomes (query_id);
CREATE INDEX IF NOT EXISTS router_outcomes_at ON router_outcomes (environment, at);

-- Tables of the decision log. Idempotent; the lock serialises processes that start together.
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
    tenant      text NOT NULL,
    reward      double precision,
    complaint   boolean NOT NULL,
    signals     jsonb NOT NULL,
    -- Why router_decisions has no row of this query: not_written (yet, or dropped from a full queue)
    -- or expired (older than the retention). NULL: it has one. Not a foreign key, because another
    -- process may write the decision later, and because outcomes outlive a dropped decision.
    decision_missing text CHECK (decision_missing IN ('not_written', 'expired'))
);
CREATE INDEX IF NOT EXISTS router_outcomes_query ON router_outcomes (query_id);
CREATE INDEX IF NOT EXISTS router_outcomes_at ON router_outcomes (environment, at);

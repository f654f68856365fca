-- The metadata store. Idempotent: run on every ingestion.
CREATE TABLE IF NOT EXISTS records (
    id          text PRIMARY KEY,
    kind        text NOT NULL,
    title       text NOT NULL,
    text        text NOT NULL,
    source      text NOT NULL,
    occurred_on date,
    attributes  jsonb NOT NULL DEFAULT '{}'::jsonb,
    search      tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', text), 'B')
    ) STORED
);
CREATE INDEX IF NOT EXISTS records_kind ON records (kind);
CREATE INDEX IF NOT EXISTS records_occurred_on ON records (occurred_on);
CREATE INDEX IF NOT EXISTS records_attributes ON records USING gin (attributes jsonb_path_ops);
CREATE INDEX IF NOT EXISTS records_search ON records USING gin (search);

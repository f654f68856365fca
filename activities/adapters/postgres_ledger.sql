-- Every statement of the ledger. A line "-- name: X" begins the statement called X.

-- name: schema
CREATE TABLE IF NOT EXISTS sluice_ledger (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rollout_id  text        NOT NULL,
    key         text        NOT NULL,
    kind        text        NOT NULL,
    at          timestamptz NOT NULL,
    body        json        NOT NULL, -- json, not jsonb: evidence keeps its exact text
    digest      text        NOT NULL DEFAULT '', -- of this row and the one before it
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (rollout_id, key)
);
ALTER TABLE sluice_ledger ADD COLUMN IF NOT EXISTS digest text NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS sluice_ledger_by_kind ON sluice_ledger (rollout_id, kind, at, id);
CREATE INDEX IF NOT EXISTS sluice_ledger_by_rollout
    ON sluice_ledger ((rollout_id COLLATE "C"), id);
CREATE INDEX IF NOT EXISTS sluice_ledger_states
    ON sluice_ledger ((rollout_id COLLATE "C"), id) WHERE kind = 'state';
CREATE OR REPLACE FUNCTION sluice_ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'sluice_ledger is append-only: % is refused', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE OR REPLACE TRIGGER sluice_ledger_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON sluice_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION sluice_ledger_append_only();

-- name: is_current
-- True when the newest part of the schema exists: a reader then creates nothing, and locks nothing.
SELECT to_regclass('sluice_ledger_states') IS NOT NULL;

-- name: ownership
SELECT relowner = current_user::regrole FROM pg_class WHERE oid = to_regclass('sluice_ledger');

-- name: revoke_all
REVOKE ALL ON sluice_ledger FROM PUBLIC;

-- name: grant_writer
GRANT SELECT, INSERT ON sluice_ledger TO {role};

-- name: grant_reader
GRANT SELECT ON sluice_ledger TO {role};

-- name: lock_schema
SELECT pg_advisory_xact_lock(hashtext('sluice_ledger'));

-- name: append
INSERT INTO sluice_ledger (rollout_id, key, kind, at, body, digest)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (rollout_id, key) DO NOTHING;

-- name: get
SELECT rollout_id, key, kind, at, body, digest FROM sluice_ledger WHERE rollout_id = $1 AND key = $2;

-- name: newest
SELECT rollout_id FROM sluice_ledger ORDER BY id DESC LIMIT 1;

-- name: latest
-- Steps from one rollout to the next in the index: a scan back to an old rollout reads every row.
WITH RECURSIVE rollouts AS (
    (SELECT rollout_id COLLATE "C" AS rollout_id FROM sluice_ledger
     WHERE rollout_id COLLATE "C" >= $1 ORDER BY rollout_id COLLATE "C" LIMIT 1)
    UNION ALL
    SELECT (SELECT entry.rollout_id COLLATE "C" FROM sluice_ledger AS entry
            WHERE entry.rollout_id COLLATE "C" > rollouts.rollout_id
            ORDER BY entry.rollout_id COLLATE "C" LIMIT 1)
    FROM rollouts WHERE starts_with(rollouts.rollout_id, $1)
)
SELECT rollouts.rollout_id FROM rollouts CROSS JOIN LATERAL (
    SELECT max(id) AS id FROM sluice_ledger AS entry
    WHERE entry.rollout_id COLLATE "C" = rollouts.rollout_id
) AS last
WHERE starts_with(rollouts.rollout_id, $1) ORDER BY last.id DESC LIMIT 1;

-- name: endings
SELECT rollout_id, key, kind, at, body, digest FROM sluice_ledger
WHERE rollout_id COLLATE "C" >= $1 AND starts_with(rollout_id, $1) AND kind = 'state'
ORDER BY id DESC LIMIT 50;

-- name: entries
SELECT rollout_id, key, kind, at, body, digest FROM sluice_ledger
WHERE rollout_id = $1 AND kind = $2 ORDER BY at, id;

-- name: evidence
SELECT rollout_id, key, kind, at, body, digest FROM sluice_ledger
WHERE rollout_id = $1 AND kind <> 'event' ORDER BY id;

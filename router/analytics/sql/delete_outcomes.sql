-- One slice of expired outcomes.
WITH expired AS (
    DELETE FROM router_outcomes WHERE ctid IN (
        SELECT ctid FROM router_outcomes WHERE environment = $1 AND at < $2 LIMIT $3)
    RETURNING 1
)
SELECT count(*) FROM expired

-- One slice of expired decisions; their outcomes, a little younger, keep the reason.
WITH expired AS (
    DELETE FROM router_decisions WHERE ctid IN (
        SELECT ctid FROM router_decisions WHERE environment = $1 AND at < $2 LIMIT $3)
    RETURNING query_id
), marked AS (
    UPDATE router_outcomes SET decision_missing = 'expired'
    WHERE query_id IN (SELECT query_id FROM expired)
)
SELECT count(*) FROM expired

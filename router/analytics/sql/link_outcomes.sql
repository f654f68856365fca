-- Outcomes whose decision was written after them.
UPDATE router_outcomes SET decision_missing = NULL
WHERE environment = $1 AND decision_missing = 'not_written'
  AND EXISTS (SELECT FROM router_decisions
              WHERE router_decisions.query_id = router_outcomes.query_id)

INSERT INTO router_outcomes (id, query_id, at, environment, tenant, reward, complaint, signals,
    decision_missing)
SELECT $1, $2, $3, $4, $5, $6, $7, $8::text::jsonb,
    CASE WHEN EXISTS (SELECT FROM router_decisions WHERE query_id = $2) THEN NULL
         ELSE 'not_written' END
ON CONFLICT (id) DO NOTHING

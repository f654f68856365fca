INSERT INTO router_decisions (query_id, at, environment, tenant, cohort, outcome, intent, confidence,
    tier, complexity, backends, cached, results, latency_ms, query, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16::text::jsonb)
ON CONFLICT (query_id) DO NOTHING

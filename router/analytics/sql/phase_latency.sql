-- Milliseconds per phase of recent queries, the costliest phase first.
WITH recent AS (
    SELECT latency_ms, detail -> 'phases_ms' AS phases FROM router_decisions
    WHERE environment = $1 AND at >= now() - make_interval(secs => $2)
      AND ($3::text IS NULL OR cohort = $3)
), spent AS (
    SELECT 'total' AS phase, latency_ms AS ms FROM recent
    UNION ALL
    SELECT key, value::float8 FROM recent, jsonb_each_text(phases)
)
SELECT phase, count(*) AS queries, avg(ms) AS mean,
       percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY ms) AS quantiles
FROM spent GROUP BY phase ORDER BY sum(ms) DESC

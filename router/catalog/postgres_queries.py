"""The statements that discovery runs on Postgres: system catalogues and bounded samples only.

``pg_class.reltuples`` is -1 for a table that was never analysed; its pages give the order of
magnitude then. ``pg_stats`` shows a role only what it may read.
"""

TABLES = """
SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS relkind,
       CASE WHEN c.relkind IN ('v', 'f') THEN NULL
            WHEN c.reltuples >= 0 THEN c.reltuples::bigint
            ELSE pg_relation_size(c.oid) / 100 END AS rows,
       pg_relation_size(c.oid) AS bytes,
       obj_description(c.oid, 'pg_class') AS description
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  AND has_schema_privilege(n.oid, 'USAGE')
  AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""
COLUMNS = """
SELECT n.nspname AS schema, c.relname AS table, a.attname AS name, a.attnotnull AS required,
       CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END::regtype::text AS type,
       coalesce(e.typtype, t.typtype)::text AS typtype,
       col_description(c.oid, a.attnum) AS description,
       s.n_distinct, s.null_frac, s.avg_width,
       array_to_json(s.most_common_vals::text::text[])::text AS common
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = nullif(t.typelem, 0)
LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname
                    AND s.attname = a.attname AND NOT s.inherited
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid = ANY($1::text[]::regclass[])
  AND has_column_privilege(c.oid, a.attnum, 'SELECT')
ORDER BY 1, 2, a.attnum
"""
KEYS = """
SELECT n.nspname AS schema, c.relname AS table, i.indisprimary AS primary,
       array(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(num, place)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num ORDER BY place)
         AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisunique AND i.indpred IS NULL AND NOT 0 = ANY(i.indkey::int2[])
  AND c.oid = ANY($1::text[]::regclass[])
ORDER BY i.indisprimary DESC, i.indnatts, i.indexrelid
"""
FOREIGN_KEYS = """
SELECT o.conname AS name, n.nspname AS schema, c.relname AS table,
       fn.nspname AS far_schema, f.relname AS far_table,
       array(SELECT a.attname::text FROM unnest(o.conkey) WITH ORDINALITY AS k(num, place)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num ORDER BY place) AS near,
       array(SELECT a.attname::text FROM unnest(o.confkey) WITH ORDINALITY AS k(num, place)
             JOIN pg_attribute a ON a.attrelid = f.oid AND a.attnum = k.num ORDER BY place) AS far
FROM pg_constraint o
JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class f ON f.oid = o.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE o.contype = 'f' AND o.conparentid = 0 AND c.oid = ANY($1::text[]::regclass[])
ORDER BY 2, 3, 1
"""
ENUMS = """
SELECT t.oid::regtype::text AS type, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid GROUP BY t.oid
"""

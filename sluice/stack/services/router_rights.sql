-- The router's role owns what it stores, and creates what it needs: databases of a team's data too.
ALTER ROLE router CREATEDB;
CREATE EXTENSION IF NOT EXISTS vector;
GRANT CREATE ON DATABASE postgres TO router;
GRANT USAGE, CREATE ON SCHEMA public TO router;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
        WHERE schemaname = 'public' AND tableowner = current_user AND tablename <> 'sluice_ledger'
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO router', name);
    END LOOP;
END
$$;

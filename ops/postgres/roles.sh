#!/bin/sh
# One role for each kind of process, and the ledger's own database. Runs when the database is first created.
# Safe to run again: docker compose exec postgres sh /docker-entrypoint-initdb.d/roles.sh
#
# temporal        makes its own databases
# router          owns the tables of the product's database
# ledger_owner    owns the ledger's table; only the service `ledger` uses it, once at each start
# ledger_worker   adds to the ledger and reads it; ledger_reader reads it
set -eu

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set database="$POSTGRES_DB" --set temporal="$TEMPORAL_POSTGRES_PASSWORD" \
  --set router="$ROUTER_POSTGRES_PASSWORD" --set owner="$LEDGER_OWNER_PASSWORD" \
  --set worker="$LEDGER_WORKER_PASSWORD" --set reader="$LEDGER_READER_PASSWORD" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['temporal', 'router', 'ledger_owner', 'ledger_worker', 'ledger_reader']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE temporal CREATEDB PASSWORD :'temporal';
ALTER ROLE router PASSWORD :'router';
ALTER ROLE ledger_owner PASSWORD :'owner';
ALTER ROLE ledger_worker PASSWORD :'worker';
ALTER ROLE ledger_reader PASSWORD :'reader';

GRANT CREATE ON DATABASE :"database" TO router;
GRANT USAGE, CREATE ON SCHEMA public TO router;
SELECT format('ALTER TABLE %I.%I OWNER TO router', schemaname, tablename) FROM pg_tables
WHERE schemaname = 'public' AND tableowner = current_user AND tablename <> 'sluice_ledger' \gexec

SELECT 'CREATE DATABASE ledger OWNER ledger_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'ledger') \gexec
REVOKE ALL ON DATABASE ledger FROM PUBLIC;
GRANT CONNECT ON DATABASE ledger TO ledger_worker, ledger_reader;
SQL

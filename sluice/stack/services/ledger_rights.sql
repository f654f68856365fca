-- Only the ledger's own roles may enter its database.
REVOKE ALL ON DATABASE ledger FROM PUBLIC;
GRANT CONNECT ON DATABASE ledger TO ledger_worker, ledger_reader;

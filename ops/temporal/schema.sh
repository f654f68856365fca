#!/bin/sh
# Creates Temporal's two databases and brings their schemas up to date. Safe to run again.
# temporal-sql-tool takes the password from SQL_PASSWORD.
set -eu

SCHEMAS=/etc/temporal/schema/postgresql/v12

# prepare DATABASE FOLDER
prepare() {
  sql="temporal-sql-tool --plugin postgres12 --ep postgres -p 5432 -u temporal --db $1"
  $sql create
  $sql setup-schema -v 0.0
  $sql update-schema -d "$SCHEMAS/$2/versioned"
}

prepare temporal temporal
prepare temporal_visibility visibility

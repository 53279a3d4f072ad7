#!/bin/sh
# postStart of the postgres container: makes the database what the mounted credentials say, after every start.
# The image's own POSTGRES_PASSWORD counts at the first start only; this makes a changed password true as well,
# however often and wherever an earlier change was interrupted.
#
# CREDENTIALS  directory with the files superuser-password and flyte-password
# Logs in over the local socket, which only processes of this container reach.
set -eu

# psql would go on with an empty password, which means none at all.
for file in superuser-password flyte-password; do
  [ -s "$CREDENTIALS/$file" ] || { echo "ensure-roles: $CREDENTIALS/$file is missing or empty" >&2; exit 1; }
done

# The server of the very first initdb answers on the socket only, so this waits for the real one. There is no limit:
# recovery after a crash may take long, and a container killed in the middle of it starts over.
until pg_isready -q -h 127.0.0.1; do sleep 0.2; done

# The passwords go through psql's variables: neither into arguments nor into the server's log.
exec psql -v ON_ERROR_STOP=1 -q -o /dev/null -U postgres -d postgres <<'SQL'
SET log_statement TO none;
SET log_min_duration_statement TO -1;
SET log_min_error_statement TO panic;
\set superuser_password `cat "$CREDENTIALS/superuser-password"`
\set flyte_password `cat "$CREDENTIALS/flyte-password"`
SELECT 'CREATE ROLE flyte' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'flyte') \gexec
ALTER ROLE flyte LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'flyte_password';
ALTER ROLE postgres PASSWORD :'superuser_password';
SELECT 'CREATE DATABASE flyte OWNER flyte' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'flyte') \gexec
REVOKE ALL ON DATABASE flyte FROM PUBLIC;
SQL

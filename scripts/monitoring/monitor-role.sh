#!/bin/sh
# Second part of postStart of the postgres container of a stack with monitoring, after ensure-roles.sh: the role with
# which the exporter reads statistics. It is no superuser, and may not even connect to the database of Flyte.
#
# MONITOR  directory with the file password
# Logs in over the local socket, which only processes of this container reach.
set -eu

# psql would go on with an empty password, which means none at all.
[ -s "$MONITOR/password" ] || { echo "monitor-role: $MONITOR/password is missing or empty" >&2; exit 1; }

# The password goes through a variable of psql: neither into arguments nor into the server's log.
exec psql -v ON_ERROR_STOP=1 -q -o /dev/null -U postgres -d postgres <<'SQL'
SET log_statement TO none;
SET log_min_duration_statement TO -1;
SET log_min_error_statement TO panic;
\set password `cat "$MONITOR/password"`
SELECT 'CREATE ROLE monitoring' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'monitoring') \gexec
ALTER ROLE monitoring LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 5
  PASSWORD :'password';
SELECT format('REVOKE %I FROM monitoring', pg_get_userbyid(roleid)) FROM pg_auth_members
  WHERE member = 'monitoring'::regrole AND roleid <> 'pg_monitor'::regrole \gexec
GRANT pg_monitor TO monitoring;
SQL

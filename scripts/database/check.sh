#!/bin/sh
# Checks that a PostgreSQL server has what Flyte needs, and changes nothing: prints one line that names the setting, the
# problem and the remedy, and fails; or prints the version of the server.
#
# PGHOST, PGPORT, PGUSER, PGDATABASE, PGSSLMODE, PGSSLROOTCERT   the way to the database, as psql reads it
# PASSWORD_SETTING  the setting that has the password, for messages
# CONNECTIONS       what flyte-home:postgres.maxConnections says
# standard input    the password in one line
set -u
IFS= read -r PGPASSWORD || true
export PGPASSWORD PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-5}" LC_ALL=C
key=flyte-home:postgres.external
owner="the superuser of the server"

stop() {
  echo "$1" >&2
  exit 1
}
# ask STATEMENT: its result, in lines.
ask() {
  psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1" 2>&1
}
set_to() {
  echo "pulumi config set --path $1 $2"
}

# explained ANSWER: what libpq's message means here.
explained() {
  case $1 in
    *"could not translate host name"*)
      echo "$key.host: the pods of the cluster find no address for $PGHOST; write the name or the address of the server"
      ;;
    *"Connection refused"*)
      echo "$key.port: nothing at $PGHOST listens on $PGPORT; start the server, or write its port"
      ;;
    *"timeout expired"* | *"No route to host"* | *"unreachable"* | *"timed out"*)
      echo "$key.host: $PGHOST does not answer on port $PGPORT; open its firewall for the nodes of the cluster"
      ;;
    *"server does not support SSL"*)
      echo "$key.tls.mode: is $PGSSLMODE, but the server at $PGHOST has no TLS; set ssl = on there, or, if no one can" \
        "listen in between, write $(set_to "$key.tls.mode" disable)"
      ;;
    *"does not match host name"*)
      echo "$key.host: the certificate of the server is not for $PGHOST (${1##*server certificate for }); write the" \
        "name in the certificate, or $(set_to "$key.tls.mode" verify-ca)"
      ;;
    *"certificate has expired"*)
      echo "$key.tls: the certificate of the server at $PGHOST has expired; renew it"
      ;;
    *"certificate verify failed"* | *"unable to get local issuer"* | *"self-signed certificate"*)
      echo "$key.tls.certificateAuthority: has not signed the certificate of the server at $PGHOST; write the" \
        "certificate of the authority that has"
      ;;
    *"no pg_hba.conf entry"*"no encryption"* | *"no pg_hba.conf entry"*"SSL off"*)
      echo "$key.tls.mode: is $PGSSLMODE, but the server at $PGHOST lets $PGUSER in only with TLS, or not at all; write" \
        "$(set_to "$key.tls.mode" verify-full), or add a line to its pg_hba.conf"
      ;;
    *"no pg_hba.conf entry"* | *"pg_hba.conf rejects"*)
      echo "$key.host: the server at $PGHOST does not let $PGUSER into $PGDATABASE from the cluster; add a line to its" \
        "pg_hba.conf"
      ;;
    *"password authentication failed"* | *"SASL authentication failed"* | *"no password supplied"* | *"empty password"*)
      echo "$PASSWORD_SETTING: the server at $PGHOST rejects the password of $PGUSER, or has no such role; write the" \
        "password, or change it there: ALTER ROLE \"$PGUSER\" PASSWORD '...'"
      ;;
    *"role "*"does not exist"*)
      echo "$key.username: the server at $PGHOST has no role $PGUSER; create it there: CREATE ROLE \"$PGUSER\" LOGIN" \
        "PASSWORD '...'"
      ;;
    *"is not permitted to log in"*)
      echo "$key.username: the role $PGUSER may not log in; let $owner run ALTER ROLE \"$PGUSER\" LOGIN"
      ;;
    *"database "*"does not exist"*)
      echo "$key.database: the server at $PGHOST has no database $PGDATABASE; let $owner run CREATE DATABASE" \
        "\"$PGDATABASE\" OWNER \"$PGUSER\" TEMPLATE template0 ENCODING 'UTF8'"
      ;;
    *"permission denied for database"*)
      echo "$key.database: the role $PGUSER may not connect to $PGDATABASE; let $owner run ALTER DATABASE" \
        "\"$PGDATABASE\" OWNER TO \"$PGUSER\""
      ;;
    *"too many connections"* | *"too many clients"* | *"remaining connection slots"*)
      echo "$key.host: the server at $PGHOST has no connection left for $PGUSER; raise its limit"
      ;;
    *) echo "$key: the server at $PGHOST does not let $PGUSER in: $(printf %s "$1" | tr '\n' ' ')" ;;
  esac
}

waited=0
until answer=$(ask 'SELECT 1'); do
  case $answer in
    # It goes away by itself. Everything else does not.
    *"is starting up"* | *"is not yet accepting connections"* | *"Connection refused"*) ;;
    *) stop "$(explained "$answer")" ;;
  esac
  [ "$waited" -lt "${WAIT:-10}" ] || stop "$(explained "$answer")"
  sleep 1
  waited=$((waited + 1))
done

# A pooler in transaction mode gives a session that is idle no server process of its own: a second session then gets the
# same one. With a server, or a pooler in session mode, two sessions never share a process.
shared=$(psql -X -q -A -t -v ON_ERROR_STOP=1 2>&1 <<'SQL'
SELECT pg_backend_pid() AS first \gset
\setenv FIRST :first
\! psql -X -q -A -t -c "SELECT pg_backend_pid() = $FIRST"
\! psql -X -q -A -t -c "SELECT pg_backend_pid() = $FIRST"
SQL
)
if printf '%s\n' "$shared" | grep -qx t; then
  stop "$key.port: $PGHOST is a pooler in transaction mode on port $PGPORT, which Flyte's prepared statements and locks do \
not survive; write the port of the server, or of a pooler in session mode"
fi

facts=$(ask "
SELECT current_setting('server_version_num')::int / 10000, current_setting('server_version'),
  pg_encoding_to_char(encoding),
  pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool,
  current_setting('max_connections')::int, rolconnlimit, datconnlimit,
  coalesce(current_schema(), ''),
  coalesce(has_schema_privilege(to_regnamespace('public'), 'CREATE'), false)
    AND has_database_privilege(datname, 'CREATE'),
  (SELECT coalesce(min(tableowner), '') FROM pg_tables
   WHERE schemaname = 'public' AND NOT pg_has_role(tableowner, 'USAGE')),
  (SELECT coalesce(min(tablename), '') FROM pg_tables
   WHERE schemaname = 'public' AND coalesce(to_regclass('public.datasets'), to_regclass('public.migrations')) IS NULL)
FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user") || stop "$(explained "$facts")"
IFS='|' read -r major version encoding standby most of_role of_database schema creates stranger other <<FACTS
$facts
FACTS
client=$(psql --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')

[ "$major" -ge 15 ] ||
  stop "$key.host: the server is PostgreSQL $version, and Flyte's data needs 15 or newer; upgrade the server"
[ "$major" -le "$client" ] ||
  stop "flyte-home:images.postgres: is PostgreSQL $client, whose pg_dump cannot read the server, which is $version; \
write $(set_to flyte-home:images.postgres "docker.io/library/postgres:$major")"
[ "$standby" = f ] ||
  stop "$key.host: the server at $PGHOST is a standby, or read-only; write the host of the primary"
[ "$encoding" = UTF8 ] ||
  stop "$key.database: $PGDATABASE has the encoding $encoding, and Flyte needs UTF8; let $owner run CREATE DATABASE \
\"$PGDATABASE\" OWNER \"$PGUSER\" TEMPLATE template0 ENCODING 'UTF8', after a DROP DATABASE if it has nothing of worth"
[ "$creates" = t ] ||
  stop "$key.username: the role $PGUSER may not create tables and schemas in $PGDATABASE; let $owner run ALTER DATABASE \
\"$PGDATABASE\" OWNER TO \"$PGUSER\", and in this database ALTER SCHEMA public OWNER TO \"$PGUSER\""
[ "$schema" = public ] ||
  stop "$key.username: tables of $PGUSER would be created in the schema ${schema:-of no name}; let $owner run ALTER ROLE \
\"$PGUSER\" SET search_path = public"
[ -z "$other" ] ||
  stop "$key.database: $PGDATABASE has the table $other of something else than Flyte; write a database that is Flyte's alone"
[ -z "$stranger" ] ||
  stop "$key.username: tables of $PGDATABASE belong to $stranger, so that Flyte could not change them; let $owner run in \
this database REASSIGN OWNED BY \"$stranger\" TO \"$PGUSER\", or write $(set_to "$key.username" "$stranger")"
for limit in "$most" "$of_role" "$of_database"; do
  # -1: no limit. 30 is the least that the setting may be.
  if [ "$limit" -ge 0 ] && [ "$limit" -lt "$CONNECTIONS" ]; then
    lower=", or write $(set_to flyte-home:postgres.maxConnections "$limit")"
    [ "$limit" -ge 30 ] || lower=
    stop "flyte-home:postgres.maxConnections: is $CONNECTIONS, but the server at $PGHOST accepts only $limit from \
$PGUSER; raise that limit$lower"
  fi
done
# What counts in the end. Nothing of it remains.
denied=$(ask 'BEGIN; CREATE TABLE public.flyte_home_check (id int); ROLLBACK') ||
  stop "$key.username: $PGUSER cannot create a table in $PGDATABASE: $(printf %s "$denied" | tr '\n' ' ')"
echo "PostgreSQL $version"

# shellcheck shell=sh
# Sourced by the steps of a restore in the image of the database, where the stack has no superuser: the way to the
# database as the role that owns it. The set is restored into the schema SCRATCH of the same database.
#
# PGHOST, PGPORT, PGUSER, PGDATABASE   the database
# SOURCES  directory with the file database-password
PGPASSWORD=$(cat "$SOURCES/database-password")
export PGPASSWORD PGCONNECT_TIMEOUT=10
# shellcheck disable=SC2034  # of the scripts that source this one
SCRATCH=flyte_restored REPLACED=flyte_replaced

fail() {
  echo "$NAME: $1" >&2
  exit 1
}
# run STATEMENTS: their result.
run() {
  psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 \
    --command="SET client_min_messages = warning" --command="$1"
}
# inside FILE [OPTIONS]: the result of a file of SQL that sees the restored tables in place of Flyte's. The schema is no
# option of the connection, which a pooler may ignore.
inside() {
  file=$1
  shift
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --command="SET search_path = $SCRATCH" --file="$file" "$@"
}

waited=0
until answer=$(run 'SELECT 1' 2>&1); do
  [ "$waited" -lt "${WAIT:-300}" ] || fail "the database does not let $PGUSER in: $answer"
  sleep 1
  waited=$((waited + 1))
done

# shellcheck shell=sh
# Sourced by the steps of a restore in the image of the database, where the stack has no superuser: the way to the
# database as the role that owns it. The set is restored into the schema SCRATCH of the same database.
#
# PGHOST, PGPORT, PGUSER, PGDATABASE   the database
# SOURCES  directory with the file database-password
export PGCONNECT_TIMEOUT=10 PGOPTIONS="--client-min-messages=warning"
PGPASSWORD=$(cat "$SOURCES/database-password")
export PGPASSWORD
# shellcheck disable=SC2034  # of the scripts that source this one
SCRATCH=flyte_restored REPLACED=flyte_replaced

fail() {
  echo "$NAME: $1" >&2
  exit 1
}
# run STATEMENTS: their result. On standard input, where \gexec works.
run() {
  printf '%s\n' "$1" | psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1
}
# inside FILE [OPTIONS]: the result of a file of SQL that sees the restored tables in place of Flyte's.
inside() {
  file=$1
  shift
  PGOPTIONS="$PGOPTIONS -c search_path=$SCRATCH" psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$file" "$@"
}

waited=0
until answer=$(run 'SELECT 1' 2>&1); do
  [ "$waited" -lt "${WAIT:-300}" ] || fail "the database does not let $PGUSER in: $answer"
  sleep 1
  waited=$((waited + 1))
done

# shellcheck shell=sh
# Sourced by the steps of a restore in the image of the database: the way to the server as its superuser.
#
# SCRATCH  the database into which the set is restored
export PGUSER=postgres PGCONNECT_TIMEOUT=10 PGOPTIONS="--client-min-messages=warning"
PGPASSWORD=$(cat "$SOURCES/superuser-password")
export PGPASSWORD
# shellcheck disable=SC2034  # of the scripts that source this one
SCRATCH=flyte_restored

fail() {
  echo "$NAME: $1" >&2
  exit 1
}
# ask DATABASE STATEMENT: its result. On standard input, where \gexec works.
ask() {
  printf '%s\n' "$2" | psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --dbname="$1"
}
# inside FILE [OPTIONS]: the result of a file of SQL in the restored database.
inside() {
  file=$1
  shift
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname="$SCRATCH" --file="$file" "$@"
}

waited=0
until answer=$(ask postgres 'SELECT 1' 2>&1); do
  [ "$waited" -lt "${WAIT:-300}" ] ||
    fail "the database does not let $PGUSER in: $(echo "$answer" | head -n 1); if it runs, restart it, which sets the password again"
  sleep 1
  waited=$((waited + 1))
done

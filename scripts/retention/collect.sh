#!/bin/sh
# Deletes the rows of Flyte's database that are older than the stack keeps them, in batches. Each batch is a transaction
# of its own, so that the script can be killed at any time, and repeated. It needs what connect.sh needs, and:
#
# SCRIPTS          directory of connect.sh and of the SQL
# EXECUTION_DAYS   days after which a finished execution goes; 0: never
# CACHE_DAYS       days after which a cached output goes; 0: never
# BATCH            executions or cached outputs of one transaction (default 200)
# DRY_RUN          1: only print what would go
set -eu
NAME=retention
. "$SCRIPTS/connect.sh"
# run FILE DAYS: the output of a file of SQL. Flyte waits for no lock of a batch for longer than the timeouts, nor a batch
# for one of Flyte's. They are no options of the connection, which a pooler may reject or ignore.
run() {
  psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -v days="$2" -v batch="${BATCH:-200}" \
    -c "SET lock_timeout = '10s'" -c "SET statement_timeout = '120s'" -f "$SCRIPTS/$1"
}

# collect WHAT FILE DAYS
collect() {
  if [ "$3" -eq 0 ]; then
    echo "retention: $1 are kept for ever"
    return
  fi
  if [ "${DRY_RUN:-}" = 1 ]; then
    echo "retention: $1 older than $3 days that would go: $(run "$2-preview.sql" "$3")"
    return
  fi
  total=0
  while true; do
    gone=$(run "$2.sql" "$3")
    [ "$gone" -gt 0 ] || break
    total=$((total + gone))
    echo "retention: $total $1 deleted so far"
  done
  echo "retention: $total $1 older than $3 days deleted"
}

# The cache first: an execution that starts now must not reuse what the next step deletes.
collect 'cached outputs' cache "$CACHE_DAYS"
collect 'finished executions' executions "$EXECUTION_DAYS"

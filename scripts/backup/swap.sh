#!/bin/sh
# Last step of a restore: repairs what can be repaired, and puts the restored database in the place of Flyte's.
#
# WORK   the directory that the earlier steps have filled
# RUN_MISSED_SCHEDULES  see repair.sh
# DRILL  true: check the structure of all tables and indexes as well, and keep the database where it is
# OBJECTS_ONLY  true: only the objects are restored, and no database
set -eu
NAME=swap
[ "${OBJECTS_ONLY:-false}" != true ] || exit 0
. "$SCRIPTS/superuser.sh"
. "$SCRIPTS/repair.sh"

if [ "${DRILL:-false}" = true ]; then
  echo "$NAME: checking tables and indexes"
  # In Debian, only the most common programs of PostgreSQL are in the PATH.
  for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
  command -v pg_amcheck >/dev/null || fail "the image of the database has no pg_amcheck; use one that has it"
  pg_amcheck --install-missing --heapallindexed "$SCRATCH" >"$WORK/amcheck" 2>&1 || {
    ! grep -q 'extension "amcheck" is not available' "$WORK/amcheck" ||
      fail "the image of the database has no extension amcheck; use one that has it"
    head -n 5 "$WORK/amcheck" >&2
    fail "pg_amcheck found damage in the restored database"
  }
  exit 0
fi
waited=0
while [ "$(ask postgres "SELECT count(*) FROM pg_stat_activity WHERE datname = 'flyte' AND usename = 'flyte'")" -gt 0 ]; do
  [ "$waited" -lt "${WAIT:-300}" ] || fail "Flyte still uses the database; nothing was replaced. make restore stops it"
  [ "$waited" -gt 0 ] || echo "$NAME: waiting for Flyte to stop"
  sleep 1
  waited=$((waited + 1))
done
ask postgres "DROP DATABASE IF EXISTS flyte_replaced WITH (FORCE)"
ask postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('flyte', '$SCRATCH')" >/dev/null
ask postgres "BEGIN; ALTER DATABASE flyte RENAME TO flyte_replaced; ALTER DATABASE $SCRATCH RENAME TO flyte;
REVOKE ALL ON DATABASE flyte FROM PUBLIC; COMMIT"
echo "$NAME: the restored database is in place; the one that it replaced is flyte_replaced"

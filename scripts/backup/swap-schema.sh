#!/bin/sh
# Last step of a restore where the stack has no superuser: repairs what can be repaired, and puts the restored schema in
# the place of Flyte's.
#
# WORK   the directory that the earlier steps have filled
# RUN_MISSED_SCHEDULES  see repair.sh
# OBJECTS_ONLY  true: only the objects are restored, and no database
# SOURCES  see owner.sh
set -eu
NAME=swap
[ "${OBJECTS_ONLY:-false}" != true ] || exit 0
. "$SCRIPTS/owner.sh"
. "$SCRIPTS/repair.sh"

# Sessions that a pooler keeps open for later are ended. Flyte, if it still ran, would open others at once.
own="datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
waited=0
while true; do
  run "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $own AND state = 'idle'" >/dev/null
  sleep 2
  [ "$(run "SELECT count(*) FROM pg_stat_activity WHERE $own")" -gt 0 ] || break
  [ "$waited" -lt "${WAIT:-300}" ] || fail "Flyte still uses the database; nothing was replaced. make restore stops it"
  [ "$waited" -gt 0 ] || echo "$NAME: waiting for Flyte to stop"
  waited=$((waited + 2))
done
run "DROP SCHEMA IF EXISTS $REPLACED CASCADE"
run "BEGIN; ALTER SCHEMA public RENAME TO $REPLACED; ALTER SCHEMA $SCRATCH RENAME TO public; COMMIT"
echo "$NAME: the restored tables are in place; those that they replaced are in the schema $REPLACED"

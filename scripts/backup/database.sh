#!/bin/sh
# Second step of a restore: the dump becomes a second database next to Flyte's own, which stays untouched.
#
# WORK      the directory that fetch.sh has filled
# PGHOST, PGPORT   the server; SOURCES: directory with the file superuser-password
# OBJECTS_ONLY  true: only the objects are restored, and no database
set -eu
NAME=database
: >"$WORK/references.tsv"
[ "${OBJECTS_ONLY:-false}" != true ] || exit 0
. "$SCRIPTS/superuser.sh"
set_dir=$WORK/restored/set

theirs=$(cat "$WORK/server-version") ours=$(ask postgres 'SHOW server_version')
[ "${theirs%%[. ]*}" -le "${ours%%[. ]*}" ] ||
  fail "the set was made by PostgreSQL $theirs, and this server is $ours; set flyte-home:images.postgres to the newer one"

ask postgres "SELECT 'CREATE ROLE flyte' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'flyte') \\gexec"
ask postgres "DROP DATABASE IF EXISTS $SCRATCH WITH (FORCE)"
ask postgres "CREATE DATABASE $SCRATCH OWNER flyte"
echo "$NAME: restoring $(awk '{ rows += $2 } END { print rows + 0 }' "$set_dir/rows.tsv") rows into $SCRATCH"
pg_restore --no-owner --role=flyte --exit-on-error --single-transaction --dbname="$SCRATCH" "$set_dir/database.dump"

while IFS='	' read -r table rows; do
  found=$(ask "$SCRATCH" "SELECT count(*) FROM $table")
  [ "$found" = "$rows" ] || fail "$table has $found rows after the restore instead of $rows"
done <"$set_dir/rows.tsv"
inside "$SCRIPTS/references.sql" >"$WORK/references.tsv"
echo "$NAME: every table has the rows of the set"

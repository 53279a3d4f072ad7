#!/bin/sh
# Second step of a restore where the stack has no superuser: the dump becomes a second schema next to Flyte's own, which
# stays untouched.
#
# WORK      the directory that fetch.sh has filled
# SOURCES   see owner.sh
# OBJECTS_ONLY  true: only the objects are restored, and no database
set -eu
NAME=database
: >"$WORK/references.tsv"
[ "${OBJECTS_ONLY:-false}" != true ] || exit 0
. "$SCRIPTS/owner.sh"
set_dir=$WORK/restored/set

theirs=$(cat "$WORK/server-version") ours=$(run 'SHOW server_version')
[ "${theirs%%[. ]*}" -le "${ours%%[. ]*}" ] ||
  fail "the set was made by PostgreSQL $theirs, and this server is $ours; upgrade the server"
# To rename a schema, one must own it.
[ "$(run "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'public'")" = t ] ||
  fail "the schema public of $PGDATABASE does not belong to $PGUSER; let the superuser of the server run in this \
database ALTER SCHEMA public OWNER TO \"$PGUSER\""

# Only what Flyte has: its tables, and what belongs to them.
pg_restore --list "$set_dir/database.dump" |
  grep -E '^[0-9]+; [0-9]+ [0-9]+ (TABLE|TABLE DATA|SEQUENCE|SEQUENCE OWNED BY|SEQUENCE SET|DEFAULT|CONSTRAINT|INDEX|FK CONSTRAINT) ' \
    >"$WORK/restored/contents" || fail "the dump of the set has no tables"
run "DROP SCHEMA IF EXISTS $SCRATCH CASCADE"
echo "$NAME: restoring $(awk '{ rows += $2 } END { print rows + 0 }' "$set_dir/rows.tsv") rows into the schema $SCRATCH"
# A dump names its schema everywhere, so it is restored under that name. Other sessions see nothing of it: all this is one
# transaction, which is committed only if the dump was read to its end. What servers before PostgreSQL 17 do not know is
# left out of its beginning.
{
  echo "SET client_min_messages = warning; BEGIN; ALTER SCHEMA public RENAME TO flyte_meanwhile; CREATE SCHEMA public;"
  pg_restore --no-owner --no-privileges --use-list="$WORK/restored/contents" --file=- "$set_dir/database.dump" &&
    echo "ALTER SCHEMA public RENAME TO $SCRATCH; ALTER SCHEMA flyte_meanwhile RENAME TO public; COMMIT;"
} | LC_ALL=C sed '1,/^SELECT pg_catalog.set_config(/ { /^SET transaction_timeout = /d; }' |
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --output=/dev/null || fail "the set could not be restored"
[ "$(run "SELECT to_regnamespace('$SCRATCH') IS NOT NULL")" = t ] || fail "the dump of the set cannot be read to its end"

while IFS='	' read -r table rows; do
  found=$(run "SELECT count(*) FROM $SCRATCH.${table#public.}")
  [ "$found" = "$rows" ] || fail "$table has $found rows after the restore instead of $rows"
done <"$set_dir/rows.tsv"
inside "$SCRIPTS/references.sql" >"$WORK/references.tsv"
echo "$NAME: every table has the rows of the set"

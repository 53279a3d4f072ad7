#!/bin/sh
# First step of a backup: the dump of the database, read back whole. In the image of the database.
#
# WORK      directory of the backup: incoming/RUN receives what this run makes
# RUN       name of this run
# PGHOST, PGPORT, PGUSER, PGDATABASE   the database
# SOURCES   directory with the file database-password
# SCRIPTS   directory of count-rows.sh
set -eu
NAME=dump
say() {
  echo "$NAME: $1"
}

find "$WORK/incoming" -mindepth 1 -maxdepth 1 -mmin +2880 -exec rm -r {} + 2>/dev/null || true
run=$WORK/incoming/$RUN
rm -rf "$run"
mkdir -p "$run/listing"
PGPASSWORD=$(cat "$SOURCES/database-password")
export PGPASSWORD PGCONNECT_TIMEOUT=10

waited=0
until server=$(psql --no-psqlrc --tuples-only --no-align --command='SHOW server_version' 2>"$run/error"); do
  [ "$waited" -gt 0 ] || say "waiting for the database: $(tail -n 1 "$run/error")"
  [ "$waited" -lt "${WAIT:-600}" ] || { say "the database does not answer: $(tail -n 1 "$run/error")" >&2; exit 1; }
  sleep 2
  waited=$((waited + 2))
done

# Not compressed: restic compresses, and finds what it has already stored.
say "the database, $(psql --no-psqlrc --tuples-only --no-align \
  --command='SELECT pg_size_pretty(pg_database_size(current_database()))')"
pg_dump --format=custom --compress=0 --file="$run/database.dump.part"
sh "$SCRIPTS/count-rows.sh" "$run/database.dump.part" >"$run/rows.tsv" || {
  say "the dump cannot be read back; nothing was stored" >&2
  exit 1
}
mv "$run/database.dump.part" "$run/database.dump"
echo "$server" >"$run/server-version"
rm -f "$run/error"
say "read back: $(awk '{ rows += $2 } END { printf "%d rows in %d tables", rows, NR }' "$run/rows.tsv")"

#!/bin/sh
# First step of a backup: the dump of the database, read back whole. In the image of the database.
#
# WORK      directory of the backup: incoming/RUN receives what this run makes
# RUN       name of this run
# PGHOST, PGPORT, PGUSER, PGDATABASE   the database
# ONLY_TABLES  pattern of the tables that are dumped; by default everything is. On a server that others manage, the
#           database may have parts that Flyte cannot read, or that no other server has
# SOURCES   directory with the file database-password
# SCRIPTS   directory of count-rows.sh
set -eu
NAME=dump
error=$(mktemp)
say() {
  echo "$NAME: $1"
}
# fail TEXT: ends the backup. TEXT is followed by the last words of the program that failed, and by what helps.
fail() {
  said=$(sed -n '/error:/ { p; q; }' "$error")
  case $said in
    *"password authentication failed"*)
      remedy="; restart Postgres, which sets the password again"
      # Another server keeps its password.
      [ -z "${ONLY_TABLES:-}" ] || remedy="; make doctor says more"
      ;;
    *"No space left"*) remedy="; make flyte-home:backup.volume.size larger" ;;
    *"connection to server"*) remedy="; make doctor says more" ;;
    *) remedy='' ;;
  esac
  echo "$NAME: $1: $said$remedy" >&2
  exit 1
}

find "$WORK/incoming" -mindepth 1 -maxdepth 1 -mmin +2880 -exec rm -r {} + 2>/dev/null || true
run=$WORK/incoming/$RUN
rm -rf "$run"
mkdir -p "$run/listing"
PGPASSWORD=$(cat "$SOURCES/database-password")
export PGPASSWORD PGCONNECT_TIMEOUT=10

waited=0
until server=$(psql --no-psqlrc --tuples-only --no-align --command='SHOW server_version' 2>"$error"); do
  [ "$waited" -gt 0 ] || say "waiting for the database: $(tail -n 1 "$error")"
  [ "$waited" -lt "${WAIT:-600}" ] || fail "the database does not let $PGUSER in"
  sleep 2
  waited=$((waited + 2))
done

# Not compressed: restic compresses, and finds what it has already stored.
say "the database, $(psql --no-psqlrc --tuples-only --no-align \
  --command='SELECT pg_size_pretty(pg_database_size(current_database()))')"
pg_dump --format=custom --compress=0 ${ONLY_TABLES:+--no-privileges "--table=$ONLY_TABLES"} \
  --file="$run/database.dump.part" 2>"$error" ||
  fail "the database cannot be dumped; nothing was stored"
sh "$SCRIPTS/count-rows.sh" "$run/database.dump.part" >"$run/rows.tsv" 2>"$error" ||
  fail "the dump cannot be read back; nothing was stored"
mv "$run/database.dump.part" "$run/database.dump"
echo "$server" >"$run/server-version"
say "read back: $(awk '{ rows += $2 } END { printf "%d rows in %d tables", rows, NR }' "$run/rows.tsv")"

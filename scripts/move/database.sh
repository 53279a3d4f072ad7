#!/bin/sh
# Moves Flyte's tables from one database to another, as the roles that own them. Nothing is written to a disk on the way.
# In the image of the database.
#
# ACTION      check: compare what the two servers are, and what they have; nothing is changed
#             copy: copy all tables in one transaction, compare every row of the two, and mark those of FROM as left behind
#             settle: remove the mark from those of TO
# FROM_HOST, FROM_PORT, FROM_DATABASE, FROM_USER, FROM_TLS   the database that Flyte uses
# TO_HOST, TO_PORT, TO_DATABASE, TO_USER, TO_TLS             the one that it is to use; *_TLS: the mode of libpq
# CREDENTIALS directory with the files from-password and to-password, and, where a server's authority is known,
#             from-authority and to-authority
# SCRIPTS     directory of references.sql
# WORK        directory for files
# MARK        text by which tables are recognized that this stack has left behind, or has not copied to their end
# WAIT        seconds after which it stops waiting for a server (default 60)
set -eu
NAME=database
COUNTED="'executions', 'workflows', 'tasks', 'launch_plans'"

fail() {
  echo "$NAME: $1" >&2
  exit 1
}

# at SIDE PROGRAM ARGUMENTS: runs a client of PostgreSQL for one of the two databases, FROM or TO.
at() (
  case $1 in
    FROM) PGHOST=$FROM_HOST PGPORT=$FROM_PORT PGDATABASE=$FROM_DATABASE PGUSER=$FROM_USER PGSSLMODE=$FROM_TLS files=from ;;
    *) PGHOST=$TO_HOST PGPORT=$TO_PORT PGDATABASE=$TO_DATABASE PGUSER=$TO_USER PGSSLMODE=$TO_TLS files=to ;;
  esac
  PGPASSWORD=$(cat "$CREDENTIALS/$files-password")
  export PGHOST PGPORT PGDATABASE PGUSER PGSSLMODE PGPASSWORD PGCONNECT_TIMEOUT=10
  if [ -f "$CREDENTIALS/$files-authority" ]; then
    export PGSSLROOTCERT="$CREDENTIALS/$files-authority"
  fi
  shift
  exec "$@"
)

# ask SIDE: the result of the statements on standard input, where \gexec works.
ask() {
  at "$1" psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1
}

# tables SIDE: what is in the tables of the schema public, a line each: its name, the number of its rows and a sum of
# their checksums, which does not depend on their order; of a sequence, its last number.
tables() {
  ask "$1" <<'SQL'
SET extra_float_digits = 1;
SET bytea_output = hex;
SET datestyle = ISO;
SET timezone = UTC;
SELECT format('SELECT %L, count(*), coalesce(sum((''x'' || left(md5(t::text), 15))::bit(60)::bigint), 0) FROM public.%I t',
  tablename, tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename \gexec
SELECT format('SELECT %L, last_value, is_called FROM public.%I', 'sequence ' || sequencename, sequencename)
FROM pg_sequences WHERE schemaname = 'public' ORDER BY sequencename \gexec
SQL
}

# rows FILE: the number of rows in a file that `tables` has written.
rows() {
  awk -F '|' '$1 !~ /^sequence / { rows += $2 } END { print rows + 0 }' "$1"
}

# mark SIDE: the mark on its tables; empty without one.
mark() {
  echo "SELECT coalesce(obj_description(to_regclass('public.executions'), 'pg_class'), '')" | ask "$1"
}

# content SIDE: rows of Flyte's main tables in words; empty if there are none.
content() {
  ask "$1" <<SQL
SELECT format('SELECT count(*) || %L FROM public.%I HAVING count(*) > 0', ' ' || replace(tablename, '_', ' '), tablename)
FROM pg_tables WHERE schemaname = 'public' AND tablename IN ($COUNTED) ORDER BY tablename \gexec
SQL
}

# open SIDE: waits until the server of a side answers.
open() {
  waited=0
  until answer=$(echo 'SELECT 1' | ask "$1" 2>&1); do
    [ "$waited" -lt "${WAIT:-60}" ] || fail "$(place "$1") does not answer: $(echo "$answer" | tail -n 1)"
    [ "$waited" -gt 0 ] || echo "$NAME: waiting for $(place "$1"): $(echo "$answer" | tail -n 1)"
    sleep 2
    waited=$((waited + 2))
  done
}
place() {
  case $1 in
    FROM) echo "the database $FROM_DATABASE at $FROM_HOST" ;;
    *) echo "the database $TO_DATABASE at $TO_HOST" ;;
  esac
}
version() {
  echo 'SHOW server_version' | ask "$1"
}

# same_database: whether the two sides lead to one database, under whatever names: a lock in the one is seen in the other.
same_database() {
  key=$(date +%s)
  echo "SELECT pg_advisory_lock($key), pg_sleep(20)" | ask FROM >/dev/null 2>&1 &
  holder=$! waited=0
  until [ "$(locked FROM "$key")" = t ]; do
    [ "$waited" -lt 20 ] || fail "$(place FROM) gives no lock"
    sleep 1
    waited=$((waited + 1))
  done
  found=$(locked TO "$key")
  kill "$holder" 2>/dev/null || true
  [ "$found" = t ]
}
locked() {
  echo "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = $2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())" | ask "$1"
}

check() {
  old=$(version FROM) new=$(version TO)
  if same_database; then
    fail "$(place TO) is the one that Flyte uses already. Nothing was changed"
  fi
  [ "$(echo "SELECT to_regclass('public.executions') IS NOT NULL" | ask FROM)" = t ] ||
    fail "$(place FROM) has no tables of Flyte; run make up with its mode first. Nothing was changed"
  found=$(content TO)
  if [ -n "$found" ]; then
    [ "$(mark TO)" = "$MARK" ] ||
      fail "$(place TO) is not empty, and what it has was not moved by this stack: $(echo "$found" | tr '\n' ',' | sed \
's/,$//; s/,/, /g'). Nothing was changed. Empty it, or choose another one"
    echo "$NAME: $(place TO) has rows that an earlier move has left there; they will be replaced"
  fi
  size=$(echo 'SELECT pg_size_pretty(pg_database_size(current_database()))' | ask FROM)
  echo "$NAME: PostgreSQL $old to $new, $size, $(content FROM | tr '\n' ',' | sed 's/,$//; s/,/, /g')"
  echo 'RESULT {}'
}

# progress: says every ten seconds which table is being copied, until it is killed.
progress() {
  while sleep 10 >/dev/null 2>&1; do
    echo "SELECT '$NAME: still copying ' || coalesce(relid::regclass::text || ', ' || tuples_processed || ' rows', '')
      FROM pg_stat_progress_copy" | ask FROM 2>/dev/null || true
  done
}

# known_to_all: leaves out of the beginning of a dump what servers before PostgreSQL 17 do not know.
known_to_all() {
  LC_ALL=C sed '1,/^SELECT pg_catalog.set_config(/ { /^SET transaction_timeout = /d; }'
}

copy() {
  tables FROM >"$WORK/before"
  echo "$NAME: copying $(rows "$WORK/before") rows in $(grep -vc '^sequence ' "$WORK/before") tables"
  progress &
  ticking=$!
  # All in one transaction, which is committed only if the dump was read to its end: after a failure, or when this pod is
  # killed, the new database is as it was. Comments are left out, because one is the mark.
  {
    cat <<'SQL'
SET client_min_messages = warning;
BEGIN;
DO $$
DECLARE
  found record;
BEGIN
  FOR found IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('DROP TABLE IF EXISTS public.%I CASCADE', found.tablename);
  END LOOP;
  FOR found IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
    EXECUTE format('DROP SEQUENCE IF EXISTS public.%I CASCADE', found.sequencename);
  END LOOP;
END $$;
SQL
    at FROM pg_dump --no-owner --no-privileges --no-comments '--table=public.*' 2>"$WORK/dump-errors" &&
      printf "COMMENT ON TABLE public.executions IS '%s';\nCOMMIT;\nSELECT 'committed';\n" "$MARK"
  } | known_to_all | at TO psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --tuples-only --no-align >"$WORK/restored" \
    2>"$WORK/restore-errors" || true
  kill "$ticking" 2>/dev/null || true
  grep -q '^committed$' "$WORK/restored" ||
    fail "the tables cannot be copied, and $(place TO) is as it was: $(cat "$WORK/restore-errors" "$WORK/dump-errors" |
      head -n 3 | tr '\n' ' ')"
}

compare() {
  echo "$NAME: comparing every row"
  tables FROM >"$WORK/from"
  tables TO >"$WORK/to"
  cmp -s "$WORK/before" "$WORK/from" ||
    fail "$(place FROM) has changed during the copy, although Flyte is stopped; end what writes to it, such as the \
retention, and run the command again"
  cmp -s "$WORK/from" "$WORK/to" || fail "$(place TO) differs after the copy in $(awk -F '|' '
    FILENAME == ARGV[1] { there[$1] = $0; next }
    there[$1] != $0 { print $1 } { delete there[$1] }
    END { for (name in there) print name }' "$WORK/from" "$WORK/to" | sort -u | head -n 5 | tr '\n' ' ')"
  for side in FROM TO; do
    at "$side" psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$SCRIPTS/references.sql" |
      sort >"$WORK/references-$side"
  done
  cmp -s "$WORK/references-FROM" "$WORK/references-TO" ||
    fail "the rows in $(place TO) refer to other objects than before"
  # Until then, the server plans its queries as if the tables were empty.
  echo 'SET client_min_messages = error; ANALYZE' | ask TO
  tables=$(grep -vc '^sequence ' "$WORK/to") sequences=$(grep -c '^sequence ' "$WORK/to" || true)
  references=$(wc -l <"$WORK/references-TO")
  echo "$NAME: the same on both sides: $(rows "$WORK/to") rows in $tables tables, $sequences sequences," \
    "$references references to objects"
  echo "COMMENT ON TABLE public.executions IS '$MARK'" | ask FROM
  echo "RESULT {\"rows\": $(rows "$WORK/to"), \"tables\": $tables, \"references\": $references}"
}

open TO
case $ACTION in
  check)
    open FROM
    check
    ;;
  copy)
    open FROM
    copy
    compare
    ;;
  settle)
    echo "COMMENT ON TABLE public.executions IS NULL" | ask TO
    echo 'RESULT {}'
    ;;
  *) fail "ACTION: there is no action '$ACTION'" ;;
esac

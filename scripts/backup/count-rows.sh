#!/bin/sh
# Reads a dump of pg_dump whole, and prints a line TABLE<tab>ROWS for each table. It fails if the dump is damaged
# anywhere, which a look at its table of contents would not notice.
#
# usage: count-rows.sh DUMP
set -eu
unreadable=$(mktemp)
{ pg_restore --file=- "$1" || echo 1 >"$unreadable"; } | awk '
  # COPY SCHEMA.TABLE (COLUMNS) FROM stdin; where a quoted name may have any character.
  !copying && /^COPY .* FROM stdin;$/ {
    match($0, /^COPY ("([^"]|"")*"|[^" .]+)[.]("([^"]|"")*"|[^" ]+) /)
    table = substr($0, 6, RLENGTH - 6)
    rows = 0
    copying = 1
    next
  }
  copying && $0 == "\\." { printf "%s\t%d\n", table, rows; copying = 0; next }
  copying { rows++ }'
if [ -s "$unreadable" ]; then
  rm "$unreadable"
  exit 1
fi
rm "$unreadable"

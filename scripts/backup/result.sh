#!/bin/sh
# The end of a restore: prints what was found. A drill is noted in the repository.
#
# WORK   the directory that the earlier steps have filled
# DRILL  true: note that the set was drilled
set -eu
NAME=result
. "$SCRIPTS/repository.sh"
. "$SCRIPTS/sets.sh"
id=$(cat "$WORK/id")
dangling=$(jq -c -R -s 'split("\n") | map(select(. != "") | split("\t") | {(.[0]): (.[1] | tonumber)}) | add // {}' \
  "$WORK/dangling-counts.tsv")
if [ "${DRILL:-false}" = true ]; then
  if echo "$dangling" | jq -e 'has("workflow") or has("task")' >/dev/null; then
    record "$id" drill-failed "$dangling"
    fail "the set $(short "$id") has rows whose objects it lacks: $dangling"
  fi
  record "$id" drilled "$dangling"
  report "the set $(short "$id") can be restored"
fi
echo "RESULT $(jq -c --arg id "$id" --argjson dangling "$dangling" \
  '{id: $id, time, rows: ([.database.rows[]] | add), objects: ([.buckets[].objects] | add), dangling: $dangling}' \
  "$WORK/restored/set/manifest.json")"

#!/bin/sh
# First step of a restore: takes a set out of the repository and verifies it. Nothing of the stack is touched.
#
# WORK   empty directory: restored receives the set, id its id
# AT     the set: see `chosen` in sets.sh
set -eu
NAME=fetch
. "$SCRIPTS/repository.sh"
. "$SCRIPTS/sets.sh"
open_existing
id=$(chosen "$AT") || exit 1
[ -n "$id" ] || fail "AT: there is no set '$AT'; make backups STACK=$STACK lists them"
jq -e --arg id "$id" '.[] | select(.id == $id) | .verified' "$errors.list" >/dev/null ||
  fail "AT: the set $(short "$id") was never verified; choose another: make backups STACK=$STACK"
# An earlier attempt of this pod.
rm -rf "$WORK/restored"
report "fetching the set $(short "$id")"
repository restore "$id" --target "$WORK/restored" --verify --quiet >/dev/null || exit 1
manifest=$WORK/restored/set/manifest.json
[ "$(jq -r .format "$manifest")" = 1 ] ||
  fail "the set $(short "$id") has a format that this version does not read; use the version that made it"
[ "$(sha256sum "$WORK/restored/set/database.dump" | cut -d' ' -f1)" = "$(jq -r .database.sha256 "$manifest")" ] ||
  fail "the dump in the set $(short "$id") is damaged"
for bucket in $(jq -r '.buckets | keys[]' "$manifest"); do
  mkdir -p "$WORK/restored/objects/$bucket"
  found=$(find "$WORK/restored/objects/$bucket" -type f | wc -l)
  wanted=$(jq -r --arg bucket "$bucket" '.buckets[$bucket].objects' "$manifest")
  [ "$found" -eq "$wanted" ] || fail "the set $(short "$id") has $found objects of the bucket $bucket instead of $wanted"
done
jq -r '.buckets | keys[]' "$manifest" >"$WORK/buckets"
jq -r .database.version "$manifest" >"$WORK/server-version"
mkdir -p "$WORK/store"
echo "$id" >"$WORK/id"
report "the set of $(jq -r .time "$manifest") is complete: $(jq '[.buckets[].objects] | add' "$manifest") objects, dump read back"

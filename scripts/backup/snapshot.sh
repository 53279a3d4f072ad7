#!/bin/sh
# Last step of a backup: compares the copy with the listing, writes the manifest, stores everything as one encrypted
# snapshot, reads it back, and removes what is too old. A set is one snapshot, which restic creates in one step at the
# end: an interrupted backup leaves none.
#
# WORK, RUN  see dump.sh
# STACK      name of the stack; LABEL: why this set is made (default: schedule)
# STATE      directory with the parts of Pulumi's state, encrypted with the recovery key; may be empty
# KEEP_DAILY, KEEP_WEEKLY, KEEP_MONTHLY   how many sets are kept; PRUNE: true if old ones are removed
set -eu
NAME=snapshot
. "$SCRIPTS/repository.sh"
. "$SCRIPTS/sets.sh"
run=$WORK/incoming/$RUN

# One at a time: the next lines replace what a snapshot is made of.
exec 9>"$WORK/lock"
flock 9

mkdir -p "$WORK/known" "$WORK/objects"
[ -s "$run/rows.tsv" ] && [ -s "$run/database.dump" ] || fail "the dump is missing; nothing was stored"

# table BUCKET: a line ETAG<tab>SIZE<tab>PATH for each object of the listing. The name begins with the bucket.
table() {
  jq -r 'select(.status == "success" and .type == "file")
    | [.etag, .size, .name] | @tsv' "$run/listing/$1.json" | sed 's/\\\\/\\/g'
}

# No file can have such a name, or the steps would take it for several.
odd=$(jq -r 'select(.status == "success" and .type == "file" and (.name | test("[\\x00-\\x1f]|\\.part\\.minio$")))
  | [.name] | @tsv' "$run/listing/"*.json | head -n 1)
[ -z "$odd" ] || fail "objects whose names have tabs or line breaks, or end in .part.minio, cannot be backed up, such as \
$odd; rename or delete them"

report "comparing the copy with the listing"
objects=0 bytes=0 damaged=0
: >"$run/buckets.tsv"
for listed in "$run/listing/"*.json; do
  bucket=$(basename "$listed" .json)
  table "$bucket" >"$run/table"
  mkdir -p "$WORK/objects/$bucket"
  (cd "$WORK/objects" && find "$bucket" -type f ! -name '*.part.minio' -exec stat -c '%s	%n' {} +) >"$run/files"
  # Missing, or of another size.
  awk -F '\t' 'FILENAME == ARGV[1] { size[$2] = $1; next } size[$3] == "" || size[$3] != $2 { print $3 }' \
    "$run/files" "$run/table" >"$run/wrong"
  # New or changed since the last set: the content is compared with the store's own checksum, which is an MD5 unless
  # the object was uploaded in parts.
  touch "$WORK/known/$bucket"
  awk -F '\t' 'FILENAME == ARGV[1] { known[$0] = 1; next } !($0 in known) && $1 ~ /^[0-9a-f]+$/ { print $1 "  " $3 }' \
    "$WORK/known/$bucket" "$run/table" >"$run/sums"
  (cd "$WORK/objects" && md5sum -c "$run/sums" 2>/dev/null) | sed -n 's/: FAILED.*$//p' >>"$run/wrong" || true
  sort -u -o "$run/wrong" "$run/wrong"
  if [ -s "$run/wrong" ]; then
    damaged=$((damaged + $(wc -l <"$run/wrong")))
    while IFS= read -r path; do rm -f "$WORK/objects/$path"; done <"$run/wrong"
  fi
  awk -v bucket="$bucket" -F '\t' '{ bytes += $1 } END { printf "%s\t%d\t%d\n", bucket, NR, bytes }' \
    "$run/files" >>"$run/buckets.tsv"
  mv "$run/table" "$run/known-$bucket"
done
[ "$damaged" -eq 0 ] ||
  fail "$damaged objects of the copy differ from the object store, which may just have changed; they are copied again"
objects=$(awk '{ n += $2 } END { print n + 0 }' "$run/buckets.tsv")
bytes=$(awk '{ n += $3 } END { printf "%d", n }' "$run/buckets.tsv")
rows=$(awk '{ n += $2 } END { print n + 0 }' "$run/rows.tsv")

open_or_create

state=none
for part in "$STATE"/*; do
  [ -s "$part" ] || continue
  mkdir -p "$run/state"
  cat "$part" >"$run/state/$(basename "$part")"
  state=sealed
done
tsv() { jq -R -s 'split("\n") | map(select(. != "") | split("\t"))' "$1"; }
jq -n \
  --argjson rows "$(tsv "$run/rows.tsv")" --argjson buckets "$(tsv "$run/buckets.tsv")" \
  --arg server "$(cat "$run/server-version")" --arg time "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
  --arg dump "$(sha256sum "$run/database.dump" | cut -d' ' -f1)" --arg state "$state" --arg why "${LABEL:-schedule}" \
  --slurpfile about "$SCRIPTS/about.json" '{
    format: 1, time: $time, "label": $why, state: $state,
    database: {version: $server, sha256: $dump, rows: ($rows | map({(.[0]): (.[1] | tonumber)}) | add // {})},
    buckets: ($buckets | map({(.[0]): {objects: (.[1] | tonumber), bytes: (.[2] | tonumber)}}) | add // {})
  } + $about[0]' >"$run/manifest.json"
rm -rf "$WORK/set"
mkdir "$WORK/set"
mv "$run/manifest.json" "$run/database.dump" "$run/rows.tsv" "$run/listing" "$WORK/set/"
[ ! -d "$run/state" ] || mv "$run/state" "$WORK/set/"

report "storing $rows rows, $objects objects, $(size "$bytes")"
cd "$WORK"
repository backup --json --host "$STACK" --exclude '*.part.minio' \
  --tag "set,label=${LABEL:-schedule},rows=$rows,objects=$objects,bytes=$bytes,state=$state" set objects >"$run/progress" ||
  exit 1
id=$(jq -r 'select(.message_type == "summary") | .snapshot_id' "$run/progress")
added=$(jq -r 'select(.message_type == "summary") | .data_added_packed' "$run/progress")

# Read back from the repository, not from the cache.
repository --no-cache dump "$id" /set/manifest.json >"$run/stored" || exit 1
cmp -s "$run/stored" "$WORK/set/manifest.json" ||
  fail "the set $id cannot be read back; it does not count as verified"
sum=$(repository dump "$id" /set/database.dump | sha256sum | cut -d' ' -f1)
[ "$sum" = "$(jq -r .database.sha256 "$WORK/set/manifest.json")" ] ||
  fail "the dump in the set $id cannot be read back; it does not count as verified"
record "$id" verified
report "stored and read back: set $(short "$id"), $(size "$added") added"

# Only now: what the object store no longer has leaves the copy, because this set has it.
for known in "$run/known-"*; do
  bucket=${known##*/known-}
  (cd "$WORK/objects" && find "$bucket" -type f) |
    awk -F '\t' 'FILENAME == ARGV[1] { listed[$3] = 1; next } !($0 in listed)' "$known" - |
    while IFS= read -r path; do rm -f "$WORK/objects/$path"; done
  mv "$known" "$WORK/known/$bucket"
done
rm -rf "$run" "$WORK/set/database.dump"

[ "${PRUNE:-true}" != true ] || forget_old || report "old sets were not removed; the next backup tries again"
echo "RESULT $(jq -nc --arg id "$id" --argjson rows "$rows" --argjson objects "$objects" --argjson bytes "$bytes" \
  --argjson added "$added" --arg state "$state" \
  '{id: $id, rows: $rows, objects: $objects, bytes: $bytes, added: $added, state: $state}')"

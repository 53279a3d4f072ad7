#!/bin/sh
# Step of a restore: leaves in upload/ only the objects that the store does not have, or has with another content.
#
# WORK  the directory that fetch.sh and store.sh have filled
set -eu
NAME=compare
rm -rf "$WORK/upload"
mkdir -p "$WORK/upload/plain" "$WORK/upload/special"
objects=$WORK/restored/objects
total=0 same=0
while read -r bucket; do
  # Path, checksum and metadata of the objects in the set. An object that had been deleted by then has no line.
  jq -r 'select(.status == "success" and .type == "file") | [
      .name, .etag,
      ((.metadata // {}) | to_entries | map(select(.key | test("^X-Amz-Meta-"; "i")))
        | map("\(.key | sub("^X-Amz-Meta-"; ""; "i"))=\(.value)") | join(";"))
    ] | @tsv' "$WORK/restored/set/listing/$bucket.json" | sed 's/\\\\/\\/g' >"$WORK/upload/set"
  jq -r --arg bucket "$bucket" 'select(.status == "success" and .type == "file")
    | ["\($bucket)/\(.key)", .etag] | @tsv' "$WORK/store/$bucket.json" | sed 's/\\\\/\\/g' >"$WORK/upload/there"
  (cd "$objects" && find "$bucket" -type f) >"$WORK/upload/files"
  awk -F '\t' -v same="$WORK/upload/same" -v special="$WORK/upload/$bucket.special" -v plain="$WORK/upload/$bucket.plain" '
    FILENAME == ARGV[1] { there[$1] = $2; next }
    FILENAME == ARGV[2] { etag[$1] = $2; attributes[$1] = $3; next }
    etag[$0] != "" && there[$0] == etag[$0] { print > same; next }
    attributes[$0] != "" { print $0 "\t" attributes[$0] > special; next }
    { print > plain }' "$WORK/upload/there" "$WORK/upload/set" "$WORK/upload/files"
  touch "$WORK/upload/same" "$WORK/upload/$bucket.special" "$WORK/upload/$bucket.plain"
  # Links cost no space.
  while IFS='	' read -r path _; do
    mkdir -p "$WORK/upload/special/$(dirname "$path")"
    ln "$objects/$path" "$WORK/upload/special/$path"
  done <"$WORK/upload/$bucket.special"
  cp -rl "$objects/$bucket" "$WORK/upload/plain/$bucket"
  { cat "$WORK/upload/same" && cut -f1 "$WORK/upload/$bucket.special"; } | tr '\n' '\0' >"$WORK/upload/elsewhere"
  (cd "$WORK/upload/plain" && xargs -0 rm -f <"$WORK/upload/elsewhere")
  total=$((total + $(wc -l <"$WORK/upload/files"))) same=$((same + $(wc -l <"$WORK/upload/same")))
  rm -f "$WORK/upload/same"
done <"$WORK/buckets"
echo "$NAME: $((total - same)) of $total objects have to be uploaded"

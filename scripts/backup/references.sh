#!/bin/sh
# Step of a restore: checks that every object of the set is in the store with its content, and that every row refers to
# an object that is there.
#
# WORK  the directory that the earlier steps have filled; dangling.tsv receives the references that lead to nothing
set -eu
NAME=references
. "$SCRIPTS/dangling.sh"
: >"$WORK/wrong"
: >"$WORK/keys"
while read -r bucket; do
  jq -r --arg bucket "$bucket" 'select(.status == "success" and .type == "file")
    | ["\($bucket)/\(.key)", .etag] | @tsv' "$WORK/store/$bucket.json" | sed 's/\\\\/\\/g' >"$WORK/there"
  jq -r 'select(.status == "success" and .type == "file") | [.name, .etag] | @tsv' \
    "$WORK/restored/set/listing/$bucket.json" | sed 's/\\\\/\\/g' >"$WORK/listed"
  # The store's checksum of an object that was uploaded in parts is another one after the restore; its file was
  # verified when it was fetched.
  awk -F '\t' 'FILENAME == ARGV[1] { there[$1] = $2; next }
    there[$1] == "" || ($2 !~ /-/ && there[$1] !~ /-/ && there[$1] != $2) { print $1 }' \
    "$WORK/there" "$WORK/listed" >>"$WORK/wrong"
  cut -f1 "$WORK/there" >>"$WORK/keys"
done <"$WORK/buckets"
if [ -s "$WORK/wrong" ]; then
  echo "$NAME: $(wc -l <"$WORK/wrong") objects are not in the store as they are in the set, such as" \
    "$(head -n 1 "$WORK/wrong")" >&2
  exit 1
fi

# A cached output may itself refer to a file or a directory of the task. Where its name ends is not certain: it may have
# spaces and letters of any alphabet, or other text may follow. So the shorter name is noted as well.
grep '^cache	' "$WORK/references.tsv" | while IFS='	' read -r _ row uri; do
  file=$WORK/restored/objects/${uri#s3://}
  [ -f "$file" ] || continue
  LC_ALL=C grep -a -o 's3://[^"*[:cntrl:]]*' "$file" | while IFS= read -r inner; do
    printf 'cache\t%s\t%s\t%s\n' "$row" "$inner" "${inner%%[!A-Za-z0-9._/=+@:,()-]*}"
  done
done >"$WORK/inner.tsv"
dangling "$WORK/buckets" "$WORK/keys" "$WORK/references.tsv" "$WORK/inner.tsv" >"$WORK/dangling.tsv"
awk -F '\t' '{ count[$1]++ } END { for (kind in count) print kind "\t" count[kind] }' "$WORK/dangling.tsv" >"$WORK/dangling-counts.tsv"
echo "$NAME: $(wc -l <"$WORK/references.tsv") references of rows checked, $(wc -l <"$WORK/dangling.tsv") lead to nothing"
head -n 20 "$WORK/dangling.tsv" | while IFS='	' read -r kind row uri; do
  echo "$NAME:   $kind $row: $uri"
done

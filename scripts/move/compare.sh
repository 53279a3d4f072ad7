#!/bin/sh
# Last step of a move of the object store, in the image of the database: compares the listings of the two stores, and
# checks that every object to which a row refers is in the new one as well as it was in the old one.
#
# WORK     directory with the listings that store.sh has written
# BUCKETS  names of the buckets
# SCRIPTS  directory of references.sql and dangling.sh
# CREDENTIALS  directory with the file database-password and, if it is known, database-authority
# PGHOST, PGPORT, PGDATABASE, PGUSER, PGSSLMODE   the database of Flyte
set -eu
NAME=compare
MARKER=flyte-home-move
. "$SCRIPTS/dangling.sh"

fail() {
  echo "$NAME: $1" >&2
  exit 1
}

# objects SIDE BUCKET: a line KEY<tab>SIZE<tab>CHECKSUM for each object in the listing, as mc writes it.
objects() {
  awk '
    function found(name, rest) {
      if (!match($0, "\"" name "\":" rest)) return ""
      return substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
    }
    /"type":"file"/ {
      key = found("key", "\"([^\"\\\\]|\\\\.)*\"")
      key = substr(key, 2, length(key) - 2)
      # How Go writes them in JSON.
      gsub(/\\u003c/, "<", key); gsub(/\\u003e/, ">", key); gsub(/\\u0026/, "\\&", key)
      gsub(/\\"/, "\"", key); gsub(/\\\\/, "\\", key)
      etag = found("etag", "\"[^\"]*\"")
      if (key != marker) print key "\t" found("size", "[0-9]+") "\t" substr(etag, 2, length(etag) - 2)
    }' marker="$MARKER" "$WORK/$1-$2" | LC_ALL=C sort
}

: >"$WORK/from-keys"
: >"$WORK/to-keys"
: >"$WORK/buckets"
all=0 bytes=0
for bucket in $BUCKETS; do
  echo "$bucket" >>"$WORK/buckets"
  for side in from to; do
    objects "$side" "$bucket" >"$WORK/$side"
    awk -F '\t' -v bucket="$bucket" '{ print bucket "/" $1 }' "$WORK/$side" >>"$WORK/$side-keys"
  done
  # The checksum of an object that was uploaded in parts depends on the parts.
  awk -F '\t' '
    FILENAME == ARGV[1] { size[$1] = $2; etag[$1] = $3; next }
    !($1 in size) { print $1 " is only in the new store"; next }
    size[$1] != $2 { print $1 " has " $2 " bytes instead of " size[$1] }
    size[$1] == $2 && etag[$1] != $3 && etag[$1] $3 !~ /-/ { print $1 " has another content" }
    { delete size[$1] }
    END { for (key in size) print key " is missing" }' "$WORK/from" "$WORK/to" >"$WORK/wrong"
  [ ! -s "$WORK/wrong" ] || fail "the bucket $bucket differs after the copy in $(wc -l <"$WORK/wrong") objects, such as: \
$(head -n 1 "$WORK/wrong"); if something else than Flyte writes to it, end that, and run the command again"
  size=$(awk -F '\t' '{ sum += $2 } END { printf "%.0f", sum }' "$WORK/to") count=$(wc -l <"$WORK/to")
  echo "$NAME: $bucket is the same in both stores: $count objects, $size bytes"
  all=$((all + count)) bytes=$((bytes + size))
done

PGPASSWORD=$(cat "$CREDENTIALS/database-password")
export PGPASSWORD PGCONNECT_TIMEOUT=10
if [ -f "$CREDENTIALS/database-authority" ]; then
  export PGSSLROOTCERT="$CREDENTIALS/database-authority"
fi
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file="$SCRIPTS/references.sql" >"$WORK/references"
: >"$WORK/inner"
for side in from to; do
  dangling "$WORK/buckets" "$WORK/$side-keys" "$WORK/references" "$WORK/inner" >"$WORK/$side-dangling"
done
cmp -s "$WORK/from-dangling" "$WORK/to-dangling" ||
  fail "rows refer to objects that are not in the new store, such as $(
    comm -13 "$WORK/from-dangling" "$WORK/to-dangling" | head -n 1
  )"
references=$(wc -l <"$WORK/references") lost=$(wc -l <"$WORK/to-dangling")
echo "$NAME: $references references of rows checked, $lost lead to nothing, as before"
echo "RESULT {\"objects\": $all, \"bytes\": $bytes, \"references\": $references}"

#!/bin/sh
# Step of a restore in the image of mc, which has little more than a POSIX shell.
#
# PART       list: write the listing of every bucket of the set to store/BUCKET.json, creating the bucket if it is missing
#            objects: upload what compare.sh has left in upload/, and list again
# WORK       the directory that fetch.sh has filled
# STORE_URL  address of the object store, http://HOST:PORT
# SOURCES    directory with the files root-user and root-password
# BUCKETS    names of the buckets of a store in which the stack creates none; empty: it may create every bucket
set -eu
NAME=objects
MC_HOST_store="${STORE_URL%%://*}://$(cat "$SOURCES/root-user"):$(cat "$SOURCES/root-password")@${STORE_URL#*://}"
export MC_HOST_store

deadline=$(($(date +%s) + ${WAIT:-300}))
until found=$(mc ls --json "store${BUCKETS:+/${BUCKETS%% *}/-/}" 2>&1); do
  [ "$(date +%s)" -lt "$deadline" ] || { echo "$NAME: the object store does not let root in: $found" >&2; exit 1; }
  sleep 1
done

list() {
  while read -r bucket; do
    [ -n "${BUCKETS:-}" ] || mc mb --quiet --ignore-existing "store/$bucket" >/dev/null
    mc ls --recursive --json "store/$bucket" >"$WORK/store/$bucket.json"
  done <"$WORK/buckets"
}

progress() {
  while sleep 30; do echo "$NAME: still uploading to $1"; done
}

# Without parts, so that the store's checksum is that of the content, as it was before.
upload() {
  while read -r bucket; do
    progress "$bucket" &
    ticking=$!
    if [ -s "$WORK/upload/$bucket.plain" ]; then
      mc cp --quiet --json --recursive --disable-multipart "$WORK/upload/plain/$bucket/" "store/$bucket/" \
        >"$WORK/upload/log" 2>&1 || { cat "$WORK/upload/log" >&2; exit 1; }
    fi
    # Objects with metadata, one by one, because metadata is an argument for all of a call.
    while IFS='	' read -r path attributes; do
      mc cp --quiet --json --disable-multipart --attr "$attributes" "$WORK/upload/special/$path" "store/$path" \
        >"$WORK/upload/log" 2>&1 || { cat "$WORK/upload/log" >&2; exit 1; }
    done <"$WORK/upload/$bucket.special"
    kill "$ticking" 2>/dev/null || true
  done <"$WORK/buckets"
}

if [ "$PART" = objects ]; then
  upload
fi
list

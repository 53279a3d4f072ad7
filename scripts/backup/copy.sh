#!/bin/sh
# Second step of a backup: copies every bucket into a directory. Nothing is removed there, so that an object that is
# deleted between the dump and this step is still in the set. In the image of mc: only a POSIX shell, cat, date, sleep
# and mc are used.
#
# WORK       directory of the backup: objects/BUCKET receives the objects, incoming/RUN/listing/BUCKET.json the listing
# RUN        name of this run
# STORE_URL  address of the object store, http://HOST:PORT
# STORE_USER access key that may read every bucket; without it, it is in the file store-user
# SOURCES    directory with the file store-key
# BUCKETS    names of the buckets; empty: all that the key opens
set -eu
NAME=copy
user=${STORE_USER:-}
[ -n "$user" ] || user=$(cat "$SOURCES/store-user")
MC_HOST_store="${STORE_URL%%://*}://$user:$(cat "$SOURCES/store-key")@${STORE_URL#*://}"
export MC_HOST_store
listing=$WORK/incoming/$RUN/listing

deadline=$(($(date +%s) + ${WAIT:-600}))
# A listing of one object that is rare, because one of everything might be long.
until found=$(mc ls --json "store${BUCKETS:+/${BUCKETS%% *}/-/}" 2>&1); do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    said=${found#*'"cause":{"message":"'} remedy='make doctor says more'
    said=${said%%'","error"'*} again='run make up, which sets its key again'
    [ -z "${BUCKETS:-}" ] || again='set flyte-home:objectStoreKey-backup, or without that key flyte-home:objectStoreKey'
    case $said in *signature* | *"ccess "[Kk]"ey"* | *Denied*) remedy=$again ;; esac
    echo "$NAME: the object store does not let ${STORE_USER:-the key of the backup} in: $said; $remedy" >&2
    exit 1
  fi
  sleep 2
done

# mirror BUCKET: mc exits with 0 for some failures, so the next step compares the copy with the listing.
mirror() {
  mc mirror --quiet --json --overwrite "store/$1" "$WORK/objects/$1" >"$WORK/incoming/$RUN/mirror.log" 2>&1 || {
    echo "$NAME: the bucket $1 cannot be copied:" >&2
    while read -r line; do
      case $line in *'"status":"error"'* | *ERROR*) echo "$NAME: $line" >&2 ;; esac
    done <"$WORK/incoming/$RUN/mirror.log"
    exit 1
  }
}

# progress BUCKET: a line every half minute, until it is killed.
progress() {
  while sleep 30; do echo "$NAME: still copying $1"; done
}

# names: one bucket a line.
names() {
  if [ -n "${BUCKETS:-}" ]; then
    # shellcheck disable=SC2086  # the name of a bucket has no spaces
    printf '%s\n' $BUCKETS
    return
  fi
  while read -r line; do
    case $line in *'"key":"'*) ;; *) continue ;; esac
    bucket=${line#*'"key":"'} bucket=${bucket%%'"'*}
    echo "${bucket%/}"
  done <<LIST
$found
LIST
}

buckets=0
names >"$WORK/incoming/$RUN/buckets"
while read -r bucket; do
  progress "$bucket" &
  ticking=$!
  mirror "$bucket"
  # With the metadata of each object: Flyte compares uploads of code with a checksum that it keeps there. `mc stat`
  # fails for an empty bucket.
  : >"$listing/$bucket.json"
  first=$(mc ls --recursive --json "store/$bucket")
  [ -z "$first" ] || mc stat --recursive --json "store/$bucket" >"$listing/$bucket.json"
  # What arrived meanwhile is in the listing, too.
  mirror "$bucket"
  kill "$ticking" 2>/dev/null || true
  buckets=$((buckets + 1))
done <"$WORK/incoming/$RUN/buckets"
[ "$buckets" -gt 0 ] || { echo "$NAME: the object store has no buckets; nothing was stored" >&2; exit 1; }
echo "$NAME: $buckets buckets are copied"

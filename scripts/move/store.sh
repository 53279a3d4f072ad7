#!/bin/sh
# Copies the buckets of a stack from one object store to another. Nothing is written to a disk on the way.
# In the image of mc: only a POSIX shell, cat, date, sleep and mc are used.
#
# ACTION      check: look at both stores, and at what the new one has; nothing is changed
#             copy: copy every bucket, and write the listing of BUCKET in either store to from-BUCKET and to-BUCKET
#             leave: mark the objects in FROM as left behind
#             settle: remove the mark from those in TO
# FROM_URL, TO_URL   addresses of the store that Flyte uses, and of the one that it is to use
# MC_REGION   region for signatures, if one fits both; mc reads it itself
# CREDENTIALS directory with the files from-user, from-key, to-user and to-key
# BUCKETS     names of the buckets, Flyte's own first
# WORK        directory for files
# MARK        text by which a store is recognized that this stack has left behind, or has not been copied to completely
# WAIT        seconds after which it stops waiting for a store (default 60)
set -eu
NAME=store
MARKER=flyte-home-move
own=${BUCKETS%% *}
# Never in arguments.
MC_HOST_from="${FROM_URL%%://*}://$(cat "$CREDENTIALS/from-user"):$(cat "$CREDENTIALS/from-key")@${FROM_URL#*://}"
MC_HOST_to="${TO_URL%%://*}://$(cat "$CREDENTIALS/to-user"):$(cat "$CREDENTIALS/to-key")@${TO_URL#*://}"
export MC_HOST_from MC_HOST_to

fail() {
  echo "$NAME: $1" >&2
  exit 1
}

# cause ANSWER: the message in an answer of mc.
cause() {
  text=$1
  case $text in *'"cause":{"message":"'*) text=${text#*'"cause":{"message":"'} text=${text%%'","'*} ;; esac
  echo "$text"
}

# open ALIAS URL: waits until a store answers. The name at the end is rare, because a listing of everything might be long.
open() {
  deadline=$(($(date +%s) + ${WAIT:-60})) waits_for=''
  until answer=$(mc ls --json "$1/$own/-/" 2>&1); do
    [ "$(date +%s)" -lt "$deadline" ] || fail "the object store at $2 does not let the copy in: $(cause "$answer")"
    [ "$answer" = "$waits_for" ] || echo "$NAME: waiting for the object store at $2: $(cause "$answer")"
    waits_for=$answer
    sleep 2
  done
}

# marked ALIAS: whether a store has the mark.
marked() {
  [ "$(mc cat "$1/$own/$MARKER" 2>/dev/null)" = "$MARK" ]
}

# empty ALIAS BUCKET: whether it has no object.
empty() {
  first=$(mc ls --json "$1/$2")
  [ -z "$first" ]
}

check() {
  if marked to; then
    echo "$NAME: the object store at $TO_URL has objects that an earlier move has left there; they will be replaced"
    return
  fi
  for bucket in $BUCKETS; do
    mc ls --json "from/$bucket/-/" >"$WORK/answer" 2>&1 ||
      fail "the bucket $bucket at $FROM_URL cannot be read: $(cause "$(cat "$WORK/answer")"). Nothing was changed"
    mc ls --json "to/$bucket/-/" >"$WORK/answer" 2>&1 ||
      fail "the bucket $bucket at $TO_URL cannot be read: $(cause "$(cat "$WORK/answer")"). Nothing was changed"
    empty to "$bucket" || fail "the bucket $bucket at $TO_URL is not empty, and what it has was not moved by this stack. \
Nothing was changed. Empty it, or choose another store"
  done
}

# mirror BUCKET: mc exits with 0 for some failures, so the next step compares the two listings. What only the new store
# has was left there by an earlier move: any other store was empty.
mirror() {
  echo 0 >"$WORK/copied"
  progress "$1" &
  ticking=$!
  {
    mc mirror --json --quiet --overwrite --remove --exclude "$MARKER" "from/$1" "to/$1" 2>&1 </dev/null ||
      echo '"status":"error"'
  } | {
    copied=0
    : >"$WORK/errors"
    while read -r line; do
      case $line in
        *'"status":"error"'*) echo "$line" >>"$WORK/errors" ;;
        *) copied=$((copied + 1)) && echo "$copied" >"$WORK/copied" ;;
      esac
    done
  }
  kill "$ticking" 2>/dev/null || true
  if [ -s "$WORK/errors" ]; then
    read -r line <"$WORK/errors"
    fail "the bucket $1 cannot be copied: $(cause "$line")"
  fi
}

# progress BUCKET: a line every ten seconds, until it is killed.
progress() {
  while sleep 10 >/dev/null 2>&1; do echo "$NAME: still copying $1, $(cat "$WORK/copied") objects so far"; done
}

copy() {
  printf %s "$MARK" | mc pipe --json "to/$own/$MARKER" >"$WORK/answer" 2>&1 ||
    fail "the new object store cannot be written: $(cause "$(cat "$WORK/answer")")"
  for bucket in $BUCKETS; do
    echo "$NAME: copying $bucket"
    mirror "$bucket"
    for side in from to; do
      mc ls --recursive --json "$side/$bucket" >"$WORK/$side-$bucket"
    done
  done
}

open to "$TO_URL"
[ "$ACTION" = settle ] || open from "$FROM_URL"
case $ACTION in
  check) check ;;
  copy) copy ;;
  leave)
    printf %s "$MARK" | mc pipe --json "from/$own/$MARKER" >"$WORK/answer" 2>&1 ||
      echo "$NAME: the old object store cannot be written, so that a move back will find it not empty"
    ;;
  settle) mc rm --json "to/$own/$MARKER" >"$WORK/answer" 2>&1 || [ -n "$(marked to || echo gone)" ] ;;
  *) fail "ACTION: there is no action '$ACTION'" ;;
esac
[ "$ACTION" = copy ] || echo 'RESULT {}'

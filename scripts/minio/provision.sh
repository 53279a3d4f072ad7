#!/bin/sh
# Creates the buckets of the object store, and its users with their policies. It can be repeated. Calls that take long,
# those with a secret key, are made only for users whose key differs from the one that is mounted. All policies,
# quotas and lifecycles are imported each time, because that is quick. It needs what root.sh needs, and:
#
# SCRIPTS  directory of root.sh, and of:
#          users          a line USER BUCKET for each user: its name, and the bucket that it may list
#          access-*.zip   policies and the users that have them
#          buckets-*.zip  quotas and lifecycles of buckets
# KEYS     directory with a file USER for each user: its secret key
set -eu
NAME=provision
. "$SCRIPTS/root.sh"

fail() {
  echo "provision: $1" >&2
  exit 1
}

create_buckets() {
  missing=''
  while read -r _ bucket; do
    case $buckets in
      *" $bucket/"*) ;;
      *) missing="$missing store/$bucket" ;;
    esac
  done <"$SCRIPTS/users"
  # shellcheck disable=SC2086  # the name of a bucket has no spaces
  [ -z "$missing" ] || mc mb --ignore-existing $missing
}

# set_key USER. Four at a time: each call hashes a key, which takes 100 MB.
running='' count=0
set_key() {
  printf '%s\n%s\n' "$1" "$(cat "$KEYS/$1")" | mc admin user add store &
  running="$running $!" count=$((count + 1))
  [ $((count % 4)) -ne 0 ] || finish
}
finish() {
  for process in $running; do
    wait "$process"
  done
  running=''
}

create_users() {
  while read -r user _; do
    case $users in
      *'"accessKey":"'"$user"'"'*) ;;
      *) set_key "$user" ;;
    esac
  done <"$SCRIPTS/users"
  finish
}

# mc exits with 0 even if the store has rejected a part; its answer has the details.
import_access() {
  for archive in "$SCRIPTS"/access-*.zip; do
    answer=$(mc admin cluster iam import --json store "$archive") || fail "$archive: $answer"
    case $answer in *'"failed":{}'*) ;; *) fail "$archive: $answer" ;; esac
  done
}
import_buckets() {
  for archive in "$SCRIPTS"/buckets-*.zip; do
    answer=$(mc admin cluster bucket import --json store "$archive") || fail "$archive: $answer"
    case $answer in *'"error"'*) fail "$archive: $answer" ;; esac
  done
}

# opens USER:BUCKET...: whether the key of each user opens its bucket.
opens() (
  number=0 places=''
  for pair in "$@"; do
    user=${pair%%:*} number=$((number + 1))
    export "MC_HOST_own$number=$(alias_of "$user" "$(cat "$KEYS/$user")")"
    # An object name that is rare, because a listing of everything might be long.
    places="$places own$number/${pair#*:}/-/"
  done
  # shellcheck disable=SC2086  # the name of a bucket has no spaces
  mc ls $places >/dev/null 2>&1
)

# find_rejected: sets `rejected` to the users whose key does not open their bucket. A hundred users share a process,
# because the start of one takes as long as ten requests.
find_rejected() {
  rejected='' batch='' size=0
  while read -r user bucket; do
    batch="$batch $user:$bucket" size=$((size + 1))
    [ "$size" -lt 100 ] || try_batch
  done <"$SCRIPTS/users"
  try_batch
}
try_batch() {
  # shellcheck disable=SC2086  # neither users nor buckets have spaces in their names
  if [ -n "$batch" ] && ! opens $batch; then
    for pair in $batch; do
      opens "$pair" || rejected="$rejected ${pair%%:*}"
    done
  fi
  batch='' size=0
}

create_buckets
create_users
import_access
import_buckets
find_rejected
if [ -n "$rejected" ]; then
  echo "provision: the store rejects the keys of$rejected; they are set again"
  for user in $rejected; do
    set_key "$user"
  done
  finish
  find_rejected
fi
[ -z "$rejected" ] || fail "the keys of$rejected do not open their buckets"
echo "provision: buckets and users are ready"

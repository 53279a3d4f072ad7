#!/bin/sh
# Creates the buckets of the object store, and its users with their policies. It can be repeated: the secret key of each
# user becomes the one that is mounted. It needs what root.sh needs, and:
#
# SCRIPTS  directory of root.sh, and of a file USER.json for each user: its policy
# BUCKETS  buckets to create, separated by spaces
# QUOTAS   BUCKET=BYTES for each bucket with a quota, separated by spaces; the other buckets lose theirs
# KEYS     directory with a file USER for each user: its secret key
set -eu
NAME=provision
. "$SCRIPTS/root.sh"

for bucket in $BUCKETS; do
  mc mb --ignore-existing "store/$bucket"
  case " $QUOTAS " in
    *" $bucket="*)
      bytes=" $QUOTAS" bytes=${bytes##*" $bucket="}
      mc quota set "store/$bucket" --size "${bytes%% *}B" ;;
    *) mc quota clear "store/$bucket" ;;
  esac
done

provision() {
  user=$1 key=$(cat "$KEYS/$1")
  mc admin policy create store "$user" "$SCRIPTS/$user.json"
  # The two calls below take a second each, even if there is nothing to change.
  case $users in
    *'"accessKey":"'"$user"'","policyName":"'"$user"'"'*)
      if MC_HOST_own=$(alias_of "$user" "$key") mc ls own >/dev/null 2>&1; then
        echo "provision: user $user has not changed"
        return
      fi ;;
  esac
  printf '%s\n%s\n' "$user" "$key" | mc admin user add store
  if ! answer=$(mc admin policy attach store "$user" --user "$user" 2>&1); then
    # Some releases report an error if the policy is already attached, which is what is wanted.
    case $answer in
      *"already"*) ;;
      *) echo "provision: cannot attach the policy of $user: $answer" >&2; exit 1 ;;
    esac
  fi
  echo "provision: user $user is ready"
}

# Four at a time: each call hashes a key, which takes 100 MB.
running=''
finish() {
  for process in $running; do
    wait "$process"
  done
  running=''
}
count=0
for policy in "$SCRIPTS"/*.json; do
  user=${policy##*/}
  provision "${user%.json}" &
  running="$running $!" count=$((count + 1))
  [ $((count % 4)) -ne 0 ] || finish
done
finish
echo "provision: buckets $BUCKETS are ready"

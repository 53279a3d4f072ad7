#!/bin/sh
# Makes the buckets of the object store, and its users with their policies, and removes the users that are no longer
# wanted; buckets and what is in them stay. Harmless to repeat: each user's secret key becomes the one that is mounted.
# Only a POSIX shell, cat, date, sleep and mc are used: the client's image has little else.
#
# STORE_URL  address of the server, http://HOST:PORT
# BUCKETS    buckets to make, separated by spaces
# POLICIES   directory with a file USER.json for each user: its policy
# ROOT       directory with the files root-user and root-password
# KEYS       directory with a file USER for each user: its secret key
# TASK_USERS what the names of the tasks' users begin with; such a user without a policy here is removed
# WAIT       seconds after which it stops waiting for the server (default 300); mc may take a few more to give up
set -eu

# alias_of USER KEY: the store as mc takes it from the environment of a process, never from arguments.
alias_of() {
  echo "${STORE_URL%%://*}://$1:$2@${STORE_URL#*://}"
}
MC_HOST_store=$(alias_of "$(cat "$ROOT/root-user")" "$(cat "$ROOT/root-password")")
export MC_HOST_store

deadline=$(($(date +%s) + ${WAIT:-300}))
until answer=$(mc ls store 2>&1); do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "provision: the object store at $STORE_URL does not let root in: $answer" >&2
    exit 1
  fi
  sleep 1
done

# First, so that a key that is to be closed is closed whatever else goes wrong. One JSON object a line: without --json
# mc cuts long names short.
users=$(mc admin user list --json store)
while read -r line; do
  user=${line#*'"accessKey":"'}
  user=${user%%'"'*}
  case $user in
    "$TASK_USERS"*)
      if [ ! -e "$POLICIES/$user.json" ]; then
        mc admin user remove store "$user"
        # Left behind by a run that was killed here, a policy without a user opens nothing.
        mc admin policy remove store "$user"
      fi ;;
  esac
done <<LIST
$users
LIST

for bucket in $BUCKETS; do
  mc mb --ignore-existing "store/$bucket"
done

provision() {
  user=$1 key=$(cat "$KEYS/$1")
  mc admin policy create store "$user" "$POLICIES/$user.json"
  # The two calls below take a second each, even if nothing is to be changed.
  case $users in
    *'"accessKey":"'"$user"'","policyName":"'"$user"'"'*)
      if MC_HOST_own=$(alias_of "$user" "$key") mc ls own >/dev/null 2>&1; then
        echo "provision: user $user is as it was"
        return
      fi ;;
  esac
  printf '%s\n%s\n' "$user" "$key" | mc admin user add store
  if ! answer=$(mc admin policy attach store "$user" --user "$user" 2>&1); then
    # Some releases answer a repeated attach with an error; what counts is that it is attached.
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
for policy in "$POLICIES"/*.json; do
  user=${policy##*/}
  provision "${user%.json}" &
  running="$running $!" count=$((count + 1))
  [ $((count % 4)) -ne 0 ] || finish
done
finish
echo "provision: buckets $BUCKETS are ready"

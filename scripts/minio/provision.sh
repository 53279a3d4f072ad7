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

# In the environment of this process and mc's, never in arguments.
MC_HOST_store="${STORE_URL%%://*}://$(cat "$ROOT/root-user"):$(cat "$ROOT/root-password")@${STORE_URL#*://}"
export MC_HOST_store

deadline=$(($(date +%s) + ${WAIT:-300}))
until answer=$(mc ls store 2>&1); do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "provision: the object store at $STORE_URL does not let root in: $answer" >&2
    exit 1
  fi
  sleep 1
done

# First, so that a key that is to be closed is closed whatever else goes wrong. A line is: status, user, policies.
users=$(mc admin user list store)
while read -r _ user _; do
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

for policy in "$POLICIES"/*.json; do
  user=${policy##*/}
  user=${user%.json}
  mc admin policy create store "$user" "$policy"
  printf '%s\n%s\n' "$user" "$(cat "$KEYS/$user")" | mc admin user add store
  if ! answer=$(mc admin policy attach store "$user" --user "$user" 2>&1); then
    # Some releases answer a repeated attach with an error; what counts is that it is attached.
    case $answer in
      *"already"*) ;;
      *) echo "provision: cannot attach the policy of $user: $answer" >&2; exit 1 ;;
    esac
  fi
  echo "provision: user $user is ready"
done
echo "provision: buckets $BUCKETS are ready"

#!/bin/sh
# Makes the bucket, Flyte's user and its policy in the object store. Harmless to repeat: what is there stays, and the
# user's secret key becomes the one that is mounted.
# Only a POSIX shell, cat, date, sleep and mc are used: the client's image has little else.
#
# STORE_URL    address of the server, http://HOST:PORT
# BUCKET       bucket to make
# ACCESS_KEY   name of Flyte's user
# POLICY       file with the user's policy
# CREDENTIALS  directory with the files root-user, root-password and secret-key
# WAIT         seconds after which it stops waiting for the server (default 300); mc may take a few more to give up
set -eu

# In the environment of this process and mc's, never in arguments.
MC_HOST_store="${STORE_URL%%://*}://$(cat "$CREDENTIALS/root-user"):$(cat "$CREDENTIALS/root-password")@${STORE_URL#*://}"
export MC_HOST_store

deadline=$(($(date +%s) + ${WAIT:-300}))
until answer=$(mc ls store 2>&1); do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "provision: the object store at $STORE_URL does not let root in: $answer" >&2
    exit 1
  fi
  sleep 1
done

mc mb --ignore-existing "store/$BUCKET"
mc admin policy create store "$ACCESS_KEY" "$POLICY"
printf '%s\n%s\n' "$ACCESS_KEY" "$(cat "$CREDENTIALS/secret-key")" | mc admin user add store
if ! answer=$(mc admin policy attach store "$ACCESS_KEY" --user "$ACCESS_KEY" 2>&1); then
  # Some releases answer a repeated attach with an error; what counts is that it is attached.
  case $answer in
    *"already"*) ;;
    *) echo "provision: cannot attach the policy: $answer" >&2; exit 1 ;;
  esac
fi
echo "provision: bucket $BUCKET and user $ACCESS_KEY are ready"

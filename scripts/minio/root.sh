# shellcheck shell=sh
# Sourced by the other scripts: the way to the object store as root, once it is open. It sets `buckets`, `users` and
# `policies` to lists of what the store has, one a line.
# Only a POSIX shell, cat, date, sleep and mc are used: the client's image has little else.
#
# STORE_URL  address of the server, http://HOST:PORT
# ROOT       directory with the files root-user and root-password
# WAIT       seconds after which it stops waiting for the server (default 300); mc may take a few more to give up

# alias_of USER KEY: the store as mc takes it from the environment of a process, never from arguments.
alias_of() {
  echo "${STORE_URL%%://*}://$1:$2@${STORE_URL#*://}"
}
MC_HOST_store=$(alias_of "$(cat "$ROOT/root-user")" "$(cat "$ROOT/root-password")")
export MC_HOST_store

deadline=$(($(date +%s) + ${WAIT:-300})) waits_for=''
until buckets=$(mc ls store 2>&1); do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "$NAME: the object store at $STORE_URL does not let root in: $buckets" >&2
    exit 1
  fi
  if [ "$buckets" != "$waits_for" ]; then
    waits_for=$buckets
    echo "$NAME: waiting for the object store at $STORE_URL: $buckets"
  fi
  sleep 1
done

# One JSON object a line: without --json mc cuts long names short.
# shellcheck disable=SC2034  # of the scripts that source this one
users=$(mc admin user list --json store)
# shellcheck disable=SC2034  # of the scripts that source this one
policies=$(mc admin policy list --json store)

# shellcheck shell=sh
# Sourced by the other scripts: the way to Flyte's database as the role that owns it. psql reads the rest from PGHOST,
# PGPORT, PGDATABASE and PGUSER.
#
# CREDENTIALS  directory with the file flyte-password
# NAME         name of the script, for its messages
# WAIT         seconds after which it stops waiting for the server (default 300)
PGPASSWORD=$(cat "$CREDENTIALS/flyte-password")
export PGPASSWORD PGCONNECT_TIMEOUT=10

deadline=$(($(date +%s) + ${WAIT:-300})) waits_for=''
until answer=$(psql -X -q -o /dev/null -c 'SELECT 1' 2>&1); do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "$NAME: the database at $PGHOST does not let $PGUSER in: $answer" >&2
    exit 1
  fi
  if [ "$answer" != "$waits_for" ]; then
    waits_for=$answer
    echo "$NAME: waiting for the database at $PGHOST: $answer"
  fi
  sleep 1
done

#!/bin/sh
# Startup probe of the postgres container: Flyte's own login, over TCP and with the mounted password. And a login with
# another password is refused, so an earlier one is, too.
#
# CREDENTIALS  directory with the file flyte-password
set -eu
ask() {
  PGPASSWORD=$1 psql -q -o /dev/null -h 127.0.0.1 -U flyte -d flyte -c 'SELECT 1'
}
password=$(cat "$CREDENTIALS/flyte-password")
ask "$password"
if ask "not $password" 2>/dev/null; then
  echo "login: the database lets flyte in with any password; look at its pg_hba.conf" >&2
  exit 1
fi

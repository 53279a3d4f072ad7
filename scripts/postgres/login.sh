#!/bin/sh
# Startup probe of the postgres container: Flyte's own login, over TCP and with the mounted password.
#
# CREDENTIALS  directory with the file flyte-password
set -eu
PGPASSWORD=$(cat "$CREDENTIALS/flyte-password")
export PGPASSWORD
exec psql -q -o /dev/null -h 127.0.0.1 -U flyte -d flyte -c 'SELECT 1'

#!/bin/sh
# Ends when the database lets Flyte's role in with the mounted password: the operator sets another one a moment after its
# Secret has changed, and Flyte must not start before. Environment: see connect.sh.
set -eu
NAME=database-login
# The command that waits for this Job says how long it waits.
WAIT=${WAIT:-86400}
. "$SCRIPTS/connect.sh"
echo "$NAME: the database at $PGHOST lets $PGUSER in"

#!/bin/sh
# Init container of Flyte: makes Flyte skip the times that its schedules missed while it did not run, except the newest.
# It needs what connect.sh needs, and:
#
# SCRIPTS  directory of connect.sh and of skip-missed.sql
# AGE      how far back missed times still count, as PostgreSQL writes intervals
set -eu
NAME=skip-missed
. "$SCRIPTS/connect.sh"
changed=$(psql -X -v ON_ERROR_STOP=1 -v age="$AGE" -f "$SCRIPTS/skip-missed.sql")
echo "skip-missed: schedules fire for nothing they missed more than $AGE ago (${changed:-no schedules yet})"

#!/bin/sh
# preStop of the postgres container: a fast shutdown. The official image asks for that itself (STOPSIGNAL SIGINT), but a
# mirrored or rebuilt one, or another runtime, may send SIGTERM, which waits for Flyte to close its connections.
exec pg_ctl stop -D "$PGDATA" -m fast -W

#!/bin/sh
# preStop of the postgres container: a fast shutdown. The SIGTERM that follows would alone mean a smart one, which waits
# for Flyte to close its connections.
exec pg_ctl stop -D "$PGDATA" -m fast -W

#!/bin/sh
# Starts Flyte's secrets webhook where it can read no file that a caller names.
#
# For each secret, the webhook first tries to read the file PREFIX/GROUP/KEY, and accepts `..` in GROUP and KEY, so that
# any caller could read any file of the pod. A relative PREFIX makes every such path relative to the working directory.
# Linux accepts no path of more than 4095 bytes (PATH_MAX), in which `../` fits 1365 times. From a working directory that
# is deeper than that, no path leads to anything but the empty directories above it.
#
# JAIL    an empty volume, for the working directory
# GLOBAL  directory whose files tasks may ask for, as GROUP/KEY; it may be missing
# CONFIG  file with Flyte's configuration, which has the PREFIX `global`
set -eu

longest_path=4095 depth=1400
if [ $((depth * 3)) -le "$longest_path" ]; then
  echo "serve: a directory $depth deep is no jail for paths of up to $longest_path bytes" >&2
  exit 1
fi
directory=$JAIL
while [ "$depth" -gt 0 ]; do
  directory=$directory/d depth=$((depth - 1))
done
mkdir -p "$directory"
cd "$directory"
# The only way out. Flyte shortens a path before it uses it, so that no `..` can follow this name.
ln -sfn "$GLOBAL" global
exec flytepropeller webhook --config "$CONFIG"

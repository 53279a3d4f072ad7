#!/bin/sh
# Runs raw-outputs.pl, which needs the HTTP client of Perl's core modules. The image is that of the database: Debian's
# postgresql-common depends on perl, so the official Debian-based image has both modules.
set -eu
if ! perl -MHTTP::Tiny -MJSON::PP -e 1 2>/dev/null; then
  echo 'raw-outputs: the image that flyte-home:images.postgres names has no perl with HTTP::Tiny and JSON::PP;' \
    'name an official image that is based on Debian, such as postgres:17.11 without -alpine' >&2
  exit 1
fi
exec perl "${0%.sh}.pl"

#!/bin/bash
# Tells Flyte where the tasks of each project and domain put their data. Harmless to repeat.
# bash alone, which can open connections: the image is that of the database, which has no HTTP client.
#
# FLYTE_HOST, FLYTE_PORT  where Flyte's HTTP API answers
# OUTPUTS                 file with a line PROJECT DOMAIN PREFIX for each
# WAIT                    seconds for which it goes on trying (default 300)
set -euo pipefail

# put PATH BODY: sets `status` to the status of the answer and `answer` to what it says; both empty without an answer.
put() {
  local connection line
  status='' answer=''
  exec {connection}<>"/dev/tcp/$FLYTE_HOST/$FLYTE_PORT" || return 0
  printf 'PUT %s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$1" "$FLYTE_HOST" "${#2}" "$2" >&"$connection" || true
  IFS=' ' read -r -t 20 _ status _ <&"$connection" || true
  while IFS= read -r -t 20 line <&"$connection" && [ "$line" != $'\r' ]; do :; done
  IFS= read -r -t 20 -d '' answer <&"$connection" || true
  exec {connection}>&-
}

deadline=$((SECONDS + ${WAIT:-300}))
while read -r project domain prefix; do
  body='{"attributes":{"project":"%s","domain":"%s","matching_attributes":{"workflow_execution_config":'
  body+='{"raw_output_data_config":{"output_location_prefix":"%s"}}}}}'
  # shellcheck disable=SC2059  # the format is the line above
  printf -v body "$body" "$project" "$domain" "$prefix"
  until put "/api/v1/project_domain_attributes/$project/$domain" "$body" 2>/dev/null; [ "$status" = 200 ]; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "raw-outputs: Flyte at $FLYTE_HOST:$FLYTE_PORT does not take $prefix for $project in $domain:" \
        "${status:-no answer} $answer" >&2
      exit 1
    fi
    sleep 1
  done
  echo "raw-outputs: tasks of $project in $domain put their data to $prefix"
done <"$OUTPUTS"

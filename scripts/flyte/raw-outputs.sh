#!/bin/bash
# Tells Flyte where the tasks of each project and domain put their data. Harmless to repeat.
# bash alone, which can open connections: the image is that of the database, which has no HTTP client.
#
# FLYTE_HOST, FLYTE_PORT         where Flyte's HTTP API answers
# OUTPUTS                        file with a line PROJECT DOMAIN PREFIX for each
# CLIENT_ID, CLIENT_SECRET_FILE  to log in with; empty where Flyte wants no login
# WAIT                           seconds for which it goes on trying (default 300)
set -euo pipefail

# ask METHOD PATH TYPE AUTHORIZATION BODY: sets `status` to the status of the answer and `answer` to what it says; both
# empty without an answer.
ask() {
  local connection line authorization=${4:+Authorization: $4$'\r\n'}
  status='' answer=''
  exec {connection}<>"/dev/tcp/$FLYTE_HOST/$FLYTE_PORT" || return 0
  printf '%s %s HTTP/1.0\r\nHost: %s:%s\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n%s' \
    "$1" "$2" "$FLYTE_HOST" "$FLYTE_PORT" "$3" "$authorization" "${#5}" "$5" >&"$connection" || true
  IFS=' ' read -r -t 20 _ status _ <&"$connection" || true
  while IFS= read -r -t 20 line <&"$connection" && [ "$line" != $'\r' ]; do :; done
  IFS= read -r -t 20 -d '' answer <&"$connection" || true
  exec {connection}>&-
}

# Sets `token` to what the API wants to see: nothing, or a token for this client.
log_in() {
  local basic
  token=''
  [ -n "${CLIENT_ID:-}" ] || return 0
  basic=$(printf '%s:%s' "$CLIENT_ID" "$(<"$CLIENT_SECRET_FILE")" | base64 -w 0)
  ask POST /oauth2/token application/x-www-form-urlencoded "Basic $basic" 'grant_type=client_credentials&scope=all'
  if [[ $status == 200 && $answer =~ \"access_token\":\"([^\"]+)\" ]]; then
    token="Bearer ${BASH_REMATCH[1]}"
  else
    answer="no login as $CLIENT_ID: $answer"
    return 1
  fi
}

# tell PATH BODY: succeeds when Flyte has taken it.
tell() {
  log_in && ask PUT "$1" application/json "$token" "$2" && [ "$status" = 200 ]
}

deadline=$((SECONDS + ${WAIT:-300}))
while read -r project domain prefix; do
  body='{"attributes":{"project":"%s","domain":"%s","matching_attributes":{"workflow_execution_config":'
  body+='{"raw_output_data_config":{"output_location_prefix":"%s"}}}}}'
  # shellcheck disable=SC2059  # the format is the line above
  printf -v body "$body" "$project" "$domain" "$prefix"
  until tell "/api/v1/project_domain_attributes/$project/$domain" "$body" 2>/dev/null; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "raw-outputs: Flyte at $FLYTE_HOST:$FLYTE_PORT does not take $prefix for $project in $domain:" \
        "${status:-no answer} $answer" >&2
      exit 1
    fi
    sleep 1
  done
  echo "raw-outputs: tasks of $project in $domain put their data to $prefix"
done <"$OUTPUTS"

#!/bin/bash
# Tells Flyte where the tasks of each project and domain put their data. It can be repeated, and sends only what Flyte
# does not have.
# bash alone, which can open connections: the image is that of the database, which has no HTTP client.
#
# FLYTE_HOST, FLYTE_PORT         where Flyte's HTTP API answers
# OUTPUTS                        file with a line PROJECT DOMAIN PREFIX for each
# CLIENT_ID, CLIENT_SECRET_FILE  to log in with; empty where Flyte wants no login
# WAIT                           seconds for which it repeats a request (default 300)
set -euo pipefail
# Bytes instead of characters: Content-Length counts them, and bash is many times slower with characters.
export LC_ALL=C

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

# log_in: sets `token` to a token for this client, or to nothing if Flyte requires no login.
log_in() {
  local basic
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

# accepted METHOD PATH BODY: whether Flyte accepts the request. A token is used until Flyte rejects it.
token=''
accepted() {
  [ -n "$token" ] || log_in || return 1
  ask "$1" "$2" application/json "$token" "$3"
  [ "$status" != 401 ] || token=''
  [ "$status" = 200 ]
}

# request METHOD PATH BODY: repeats the request until Flyte accepts it.
request() {
  local deadline=$((SECONDS + ${WAIT:-300})) waits_for=''
  until accepted "$1" "$2" "$3" 2>/dev/null; do
    if [ "${status:-no answer}" != "$waits_for" ]; then
      waits_for=${status:-no answer}
      echo "raw-outputs: waiting for Flyte at $FLYTE_HOST:$FLYTE_PORT: $waits_for"
    fi
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "raw-outputs: Flyte at $FLYTE_HOST:$FLYTE_PORT does not accept $1 $2: ${status:-no answer} $answer" >&2
      exit 1
    fi
    sleep 1
  done
}

# The prefixes that Flyte has. A line for each configuration; those of single workflows do not count. Flyte's library for
# JSON adds spaces at random. If an answer ever looks different, every prefix is sent, which does no harm.
declare -A current=()
request GET '/api/v1/matchable_attributes?resource_type=WORKFLOW_EXECUTION_CONFIG' ''
answer=${answer//[[:space:]]/}
scope='"domain":"([^"]+)","project":"([^"]+)","workflow":"","launch_plan":""'
while IFS= read -r line; do
  if [[ $line =~ $scope ]]; then
    domain=${BASH_REMATCH[1]} project=${BASH_REMATCH[2]}
    if [[ $line =~ \"output_location_prefix\":\"([^\"]+)\" ]]; then
      current["$project $domain"]=${BASH_REMATCH[1]}
    fi
  fi
done <<<"${answer//'{"attributes":'/$'\n'}"

while read -r project domain prefix; do
  if [ "${current["$project $domain"]:-}" != "$prefix" ]; then
    body='{"attributes":{"project":"%s","domain":"%s","matching_attributes":{"workflow_execution_config":'
    body+='{"raw_output_data_config":{"output_location_prefix":"%s"}}}}}'
    # shellcheck disable=SC2059  # the format is the line above
    printf -v body "$body" "$project" "$domain" "$prefix"
    request PUT "/api/v1/project_domain_attributes/$project/$domain" "$body"
    echo "raw-outputs: tasks of $project in $domain put their data to $prefix"
  fi
done <"$OUTPUTS"
echo 'raw-outputs: Flyte has every prefix'

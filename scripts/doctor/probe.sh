#!/bin/bash
# Tries connections from inside a pod, all at the same time, and writes what it has seen.
# bash and openssl are enough: the image is that of the database, which has no HTTP client.
#
# ATTEMPTS  a line NAME EXPECTED HOW HOST PORT PATH SERVER BODY for each attempt. HOW is
#             name     look HOST up
#             tcp      connect
#             http     connect, and GET PATH without a credential
#             webhook  connect, and POST an admission review with TLS: SERVER is the host name, BODY is in base64
#           HOST is an address, or api-server for the one that Kubernetes gives every pod.
# PATIENCE  seconds for which an attempt is repeated if its result is not EXPECTED (open, closed or either)
# RESULTS   file that gets a line NAME SEEN DETAIL for each attempt. SEEN is open, refused, silent or unreachable;
#           DETAIL is the HTTP status, or what the webhook returns: content, nothing, unknown or untested.
#           What an answer contains is never written anywhere.
set -euo pipefail
export LC_ALL=C

# Sets `seen` and `detail` for one attempt.
try() {
  local error code=0
  detail=''
  if [ "$how" = name ]; then
    seen=silent
    timeout 3 getent hosts "$host" >/dev/null && seen=open
    return 0
  fi
  # shellcheck disable=SC2016  # the inner bash expands its own arguments
  error=$(timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$host" "$port" 2>&1) || code=$?
  case $code$error in
    0*) seen=open ;;
    124*) seen=silent ;;
    *refused*) seen=refused ;;
    *) seen=unreachable ;;
  esac
  [ "$seen" = open ] || return 0
  case $how in
    http) detail=$(status) ;;
    webhook) detail=$(review) ;;
  esac
}

# Prints the status of the answer to a GET request; nothing without an answer.
status() {
  # shellcheck disable=SC2016  # the inner bash expands its own arguments
  timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"
    printf "GET %s HTTP/1.0\r\nHost: %s:%s\r\n\r\n" "$2" "$0" "$1" >&3
    IFS=" " read -r _ status _ <&3
    echo "$status"' "$host" "$port" "$path" 2>/dev/null || true
}

# Prints what the webhook returns for a pod that asks for a file. The file itself stays in the memory of this process.
review() {
  local address=$host:$port answer patch text
  [[ $host != *:* ]] || address="[$host]:$port"
  command -v openssl >/dev/null || { echo untested; return; }
  text=$(printf %s "$body" | base64 -d)
  answer=$(printf 'POST %s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
    "$path" "$server" "${#text}" "$text" |
    timeout 3 openssl s_client -quiet -connect "$address" -servername "$server" 2>/dev/null) || true
  patch=''
  # A secret of the pod's namespace is a reference. A value beside the name of the variable is the content of a file.
  [[ ! $answer =~ \"patch\":\ *\"([A-Za-z0-9+/=]+) ]] || patch=$(printf %s "${BASH_REMATCH[1]}" | base64 -d)
  if [[ $patch =~ \"name\":\ *\"_FSEC_[^\"]*\",\ *\"value\":\ *\"[^\"] ]]; then
    echo content
  elif [[ $answer == *'"allowed":'* ]]; then
    echo nothing
  else
    echo unknown
  fi
}

# A network plugin needs a moment to admit a new pod or to isolate it, so an unexpected result counts only if the try
# began after that moment. A connection that the plugin cuts may keep a try waiting until it has passed.
attempt() {
  local seen detail state began end=$((SECONDS + PATIENCE))
  if [ "$host" = api-server ]; then host=$KUBERNETES_SERVICE_HOST port=$KUBERNETES_SERVICE_PORT; fi
  while began=$SECONDS && try && [ "$began" -lt "$end" ]; do
    state=closed
    [ "$seen" != open ] || state=open
    if [ "$detail" != unknown ] && [[ $expected == either || $expected == "$state" ]]; then break; fi
    sleep 1
  done
  echo "$name $seen $detail"
}

printf '%s\n' "$ATTEMPTS" | {
  while read -r name expected how host port path server body; do
    attempt &
  done
  wait
} >"$RESULTS"

#!/bin/sh
# Checks an object store that the stack does not run, before anything of the stack is changed: that it answers, that its
# certificate is trusted, that the region is right, that every bucket is there, and that each key opens what it must.
# The last line says what is wrong, with the setting. It can be repeated, and leaves no object behind.
# In the image of mc: only a POSIX shell, cat, date, sleep and mc are used.
#
# STORE_URL  address of the store
# MC_REGION  region for signatures; mc reads it itself
# KEYS       directory with the files USER.access and USER.secret for each user; without those of "flyte", roles of AWS
#            open the store, and only what needs no key is checked
# SCRIPTS    directory of:
#            buckets  Flyte's own bucket, and then every other, one a line
#            scopes   a line USER BUCKET PROJECT DOMAIN for the tasks that have a key of their own
# WORK       directory for files
# WAIT       seconds for which it waits for an answer of the store (default 60)
# PATIENCE   seconds for which a request waits for an answer of the store (default 20)
set -eu
answer=$WORK/answer
sign=$(date +%s)-$$

fail() {
  echo "store-check: $1. Nothing was changed" >&2
  exit 1
}

# use USER: the alias "store" opens the store as this user. The key gets there in the environment, never in arguments.
use() {
  key=
  [ ! -f "$KEYS/$1.access" ] || key=$(cat "$KEYS/$1.access"):$(cat "$KEYS/$1.secret")@
  MC_HOST_store=${STORE_URL%%://*}://$key${STORE_URL#*://}
  export MC_HOST_store
  case $1 in flyte) setting=flyte-home:objectStoreKey ;; *) setting=flyte-home:objectStoreKey-$1 ;; esac
}

# ask ARGUMENTS: whether mc succeeds; its answer is in a file.
ask() {
  mc --json "$@" >"$answer" 2>&1 </dev/null
}

# ask_patiently ARGUMENTS: the same, but not for longer than PATIENCE. mc itself tries for minutes if nothing answers.
ask_patiently() {
  ask "$@" &
  process=$! waited=0
  while kill -0 "$process" 2>/dev/null; do
    if [ "$waited" -ge "${PATIENCE:-20}" ]; then
      kill "$process"
      wait "$process" 2>/dev/null || true
      echo '"message":"i/o timeout"' >>"$answer"
      return 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  wait "$process"
}

# code: the error code of the store in the answer, such as NoSuchBucket; empty if the store gave none.
code() {
  text=$(cat "$answer")
  case $text in *'"Code":"'*) text=${text#*'"Code":"'} && echo "${text%%'"'*}" ;; esac
}

# cause: the message of the answer, of which the last is the innermost.
cause() {
  text=$(cat "$answer")
  case $text in *'"message":"'*) text=${text##*'"message":"'} && text=${text%%'",'*} && text=${text%%'"}'*} ;; esac
  case $text in *'\"') ;; *) text=${text%'"'} ;; esac
  while :; do
    case $text in *'\"'*) text=${text%%'\"'*}"'"${text#*'\"'} ;; *) break ;; esac
  done
  # A page of some other server; mc writes "<" like this.
  case $text in *'u003c'*) text='its answer is not one of S3' ;; esac
  printf '%s\n' "${text%.}"
}

# unreachable: whether the answer is that there is none. Time may help, or not.
unreachable() {
  case $(cat "$answer") in
    *'dial tcp'* | *'i/o timeout'* | *'no such host'* | *'server misbehaving'* | *'connection re'* | *': EOF'* | \
      *'deadline exceeded'* | *'ServiceUnavailable'* | *'SlowDown'*) return 0 ;;
  esac
  return 1
}

# explain BUCKET: what is wrong with an answer, whichever bucket was asked for.
explain() {
  endpoint="flyte-home:minio.external.endpoint: $STORE_URL"
  case $(cat "$answer") in
    *'no such host'*) fail "$endpoint cannot be resolved in the cluster; correct its name" ;;
    *'connection refused'*) fail "$endpoint refuses connections; correct host and port, or start the store" ;;
    *'i/o timeout'* | *'deadline exceeded'* | *'no route to host'* | *'network is unreachable'*)
      fail "$endpoint does not answer pods of the cluster; correct it, or, if its name leads to an address that is not public, write that in flyte-home:minio.external.networks" ;;
    *'HTTP response to HTTPS client'*) fail "$endpoint speaks no TLS; write http://" ;;
    *'HTTP request to an HTTPS server'* | *'HTTP request was sent to HTTPS port'*) fail "$endpoint speaks TLS; write https://" ;;
    *'unknown authority'* | *'certificate is not trusted'*)
      fail "flyte-home:minio.external.certificateAuthority: it did not sign the certificate of $STORE_URL; write that of the authority that did" ;;
    *x509* | *'tls: '*) fail "$endpoint: its certificate is not accepted: $(cause)" ;;
  esac
  case $(code) in
    AuthorizationHeaderMalformed | InvalidRegion | IllegalLocationConstraintException | PermanentRedirect | AuthorizationQueryParametersError)
      fail "flyte-home:minio.external.region: ${MC_REGION:-} is not the region of the store, which says: $(cause)" ;;
    InvalidAccessKeyId) fail "$setting: the store does not know its access key; write a key of this store" ;;
    SignatureDoesNotMatch) fail "$setting: the store rejects its secret key; write the one that belongs to its access key" ;;
    RequestTimeTooSkewed) fail "$endpoint: its clock and that of the node differ by more than 15 minutes; correct them" ;;
    AccessDenied | AllAccessDisabled) fail "$setting: the key may not $doing in the bucket $1; docs/outgrowing.md has the policy that it needs" ;;
    NoSuchBucket) fail "flyte-home:minio: there is no bucket $1 in the store; create it" ;;
  esac
  if unreachable; then
    fail "$endpoint does not answer: $(cause)"
  fi
  fail "$endpoint is no S3 store, or has a problem: $(cause)"
}

# lists PLACE: whether the user can list what is in a bucket or below a prefix of it. The name at the end is rare, because
# a listing of everything might be long.
lists() {
  doing="list"
  ${patiently:-ask} ls "store/$1/flyte-home-check-none/"
}

# writes BUCKET PREFIX: the user creates, reads and deletes an object, or the script ends.
writes() {
  place=store/$1/$2flyte-home-check-$sign
  echo "$sign" >"$WORK/object"
  doing="write"
  ask cp --quiet "$WORK/object" "$place" || explain "$1"
  doing="read"
  ask cat "$place" || explain "$1"
  [ "$(cat "$answer")" = "$sign" ] || fail "flyte-home:minio.external.endpoint: $STORE_URL returns another content than was stored"
  doing="delete"
  ask rm "$place" || explain "$1"
}

read -r own <"$SCRIPTS/buckets"
use flyte
[ -n "$key" ] && anonymous='' || anonymous=yes

# denied: whether the answer is only that a key is needed, which says that the bucket is there.
denied() {
  [ -n "$anonymous" ] && [ "$(code)" = AccessDenied ]
}

deadline=$(($(date +%s) + ${WAIT:-60})) waits_for='' patiently=ask_patiently
until lists "$own" || denied; do
  unreachable && [ "$(date +%s)" -lt "$deadline" ] || break
  [ "$(cause)" = "$waits_for" ] || echo "store-check: waiting for $STORE_URL: $(cause)"
  waits_for=$(cause)
  sleep 2
done

patiently='' missing='' closed=''
while read -r bucket; do
  lists "$bucket" || denied || case $(code) in
    NoSuchBucket) missing="$missing $bucket" ;;
    AccessDenied) closed="$closed $bucket" ;;
    *) explain "$bucket" ;;
  esac
done <"$SCRIPTS/buckets"
[ -z "$missing" ] || fail "flyte-home:minio.bucket and flyte-home:minio.dataBucket: the store at $STORE_URL has no bucket named$missing; create what is missing"
# Of a bucket that is missing, most stores say the same to a key that may not create it.
[ -z "$closed" ] || fail "$setting: the key may not list$closed; create what is missing, or give the key the policy of docs/outgrowing.md"
if [ -n "$anonymous" ]; then
  echo "store-check: the store answers and has every bucket; whether the roles open them is not checked"
  exit 0
fi
writes "$own" metadata/propeller/

before=''
while read -r user bucket project domain; do
  before=$user
  use "$user"
  metadata=metadata/propeller/$project-$domain-
  lists "$bucket" || explain "$bucket"
  writes "$bucket" data/
  lists "$own/$metadata" || explain "$own"
  writes "$own" "$metadata"
done <"$SCRIPTS/scopes"

# What a key opens beyond that: the data of the next scope, and for the last, that of the first.
while read -r user bucket project domain; do
  [ "$before" != "$user" ] || break
  use "$before"
  ! lists "$bucket" || echo "warning: $setting also opens the bucket $bucket of project $project in domain $domain"
  ! lists "$own/metadata/propeller/$project-$domain-" ||
    echo "warning: $setting also lists the metadata of project $project in domain $domain in the bucket $own"
  before=$user
done <"$SCRIPTS/scopes"
echo "store-check: the store has every bucket, and every key opens what it must"

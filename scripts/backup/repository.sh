# shellcheck shell=sh
# Sourced by the scripts that run restic: the way to the repository, and one clear message for each failure.
# Only a POSIX shell, BusyBox, jq and restic are used, which the image of restic has.
#
# TARGET    the repository in restic's notation
# ACCESS    directory with the files password and credentials
# SCRIPTS   directory of this script, and of known_hosts and authority.pem
# PATIENCE  seconds after which a target that does not answer is given up (default 120)
[ ! -s "$SCRIPTS/authority.pem" ] || export RESTIC_CACERT="$SCRIPTS/authority.pem"
export RESTIC_REPOSITORY="$TARGET" RESTIC_PASSWORD_FILE="$ACCESS/password" RESTIC_PROGRESS_FPS=0.1

# report TEXT: a line of the log. The program that started the Job prints it.
report() {
  printf '%s: %s\n' "$NAME" "$1"
}
fail() {
  printf '%s: %s\n' "$NAME" "$1" >&2
  exit 1
}

errors=$(mktemp)
# repository ARGUMENTS: runs restic. If it fails, explains that in one line, and returns restic's exit code.
repository() {
  code=0
  : >"$errors"
  # The standard input of a process in the background would be empty.
  { (replace='exec' && open_repository "$@" 2>"$errors") <&3 & } 3<&0
  running=$!
  # For a quarter of an hour, restic would try again to write to a target that is full.
  (while sleep 1; do ! full || kill "$running"; done) </dev/null >/dev/null 2>&1 &
  watching=$!
  wait "$running" || code=$?
  kill "$watching" 2>/dev/null || true
  [ "$code" -eq 0 ] || explain "$code" "$1" >&2
  return "$code"
}

# BatchMode: it must not ask, as no one can answer.
ssh_options="-i $ACCESS/credentials -o UserKnownHostsFile=$SCRIPTS/known_hosts -o StrictHostKeyChecking=yes \
-o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=20"

# open_repository ARGUMENTS: runs restic; with replace=exec, in the place of this shell.
replace=''
open_repository() {
  case $TARGET in
    s3:*)
      AWS_SECRET_ACCESS_KEY=$(cat "$ACCESS/credentials")
      export AWS_SECRET_ACCESS_KEY
      $replace restic "$@"
      ;;
    sftp:*)
      $replace restic -o "sftp.args=$ssh_options" "$@"
      ;;
    *) $replace restic "$@" ;;
  esac
}

# explain CODE COMMAND: why restic failed, from its exit code
# (https://restic.readthedocs.io/en/stable/075_scripting.html#exit-codes) and from its own words.
explain() {
  # Restic goes back to the start of a line before it says that it was ended.
  said=$(tr -d '\r' <"$errors")
  case $1 in
    12)
      echo "$NAME: flyte-home:backup.target: the repository at $TARGET has another password; it belongs to another" \
        "stack, or its password was replaced. Choose another folder, or restore with its recovery key"
      return
      ;;
    11)
      echo "$NAME: the repository is locked by another backup, check or removal; run this again when that has ended." \
        "If that was killed, its lock counts for half an hour"
      return
      ;;
  esac
  case $said in
    *"bucket does not exist"* | *"Bucket name"*)
      echo "$NAME: flyte-home:backup.target: the bucket of $TARGET does not exist; create it, or correct the name" ;;
    *"ey I"[Dd]" you provided does not exist"* | *"InvalidAccessKeyId"*)
      echo "$NAME: flyte-home:backup.accessKeyId: $TARGET has no access key '$AWS_ACCESS_KEY_ID'; correct it, or create" \
        "it there" ;;
    *"Access Denied"* | *"AccessDenied"* | \
      *"request signature we calculated does not match"* | *"Permission denied (publickey"* | \
      *"no mutual signature"* | *"invalid format"*)
      if [ "$2" = forget ]; then
        echo "$NAME: flyte-home:backupCredentials: they may not delete at $TARGET; set flyte-home:backup.prune to" \
          "false, and remove old sets with credentials that may"
        return
      fi
      echo "$NAME: flyte-home:backupCredentials: $TARGET rejects them, or does not allow '$2'; correct them, or" \
        "the rights of their user" ;;
    *"Host key verification failed"* | *"no matching host key"*)
      echo "$NAME: flyte-home:backup.knownHosts: the server of $TARGET has another host key; if that is right, write" \
        "what ssh-keyscan prints now" ;;
    *certificate*)
      echo "$NAME: flyte-home:backup.certificateAuthority: the certificate of $TARGET is not trusted; write the" \
        "certificate of its authority" ;;
    *"no space left"* | *"No space left"* | *"storage full"* | *"StorageFull"* | *"free drive threshold"* | \
      *"quota"* | *"Quota"* | *"SSH_FX_FAILURE"*)
      echo "$NAME: flyte-home:backup.target: $TARGET is full; free space there, or keep fewer sets with" \
        "flyte-home:backup.keep" ;;
    *"connection refused"* | *"no such host"* | *"i/o timeout"* | *"Connection refused"* | *"timed out"* | \
      *"Could not resolve hostname"* | *"unreachable"* | *"No route to host"* | \
      *"context canceled"* | *"connection reset"* | *"server misbehaving"* | *"503"*)
      echo "$NAME: flyte-home:backup.target: $TARGET does not answer; start the server, or correct the address" ;;
    *"unable to start the sftp session"*)
      echo "$NAME: flyte-home:backup.target: the server of $TARGET admits no session of SFTP; allow it there" ;;
    *"integrity"* | *"hash"* | *"ciphertext verification failed"* | *"invalid data"* | *"does not match"* | \
      *"damaged"* | *"contains errors"* | *"unexpected EOF"* | *"not found in index"* | *"not a valid"* | \
      *"errors were found"* | *"file does not exist"*)
      echo "$NAME: the repository at $TARGET is damaged; see 'A damaged repository' in docs/backup.md" ;;
    *"permission denied"* | *"read-only file system"* | *MkdirAll*)
      case $TARGET in
        sftp:*) who="the user of the server" ;;
        *) who="user 65534" ;;
      esac
      echo "$NAME: flyte-home:backup.target: the folder of $TARGET cannot be created or written by $who; correct the" \
        "path, its owner or its mode" ;;
  esac
  # What restic said itself: it never prints a password.
  printf '%s\n' "$said" | grep -v -e '^$' -e '^signal terminated' | tail -n 4 | sed "s/^/$NAME:   restic: /"
}

# said_by_ssh: why ssh opens no session.
said_by_ssh() {
  server=${TARGET#sftp://} server=${server%%//*} port=22
  case $server in
    *:*) port=${server##*:} server=${server%:*} ;;
  esac
  # shellcheck disable=SC2086  # the options have no spaces in themselves
  ssh -p "$port" $ssh_options "$server" -s sftp </dev/null 2>&1 >/dev/null | sed 's/^/subprocess ssh: /'
}

# answers: whether there is a repository: 0 if there is, 10 if not; anything else is explained. Restic itself would try
# for a quarter of an hour. It also removes the locks of runs that were killed, which restic never does by itself.
answers() {
  code=0
  (replace='exec' && open_repository cat config --no-cache --no-lock >/dev/null 2>"$errors") &
  asking=$!
  waited=0
  while kill -0 "$asking" 2>/dev/null; do
    if [ "$waited" -ge "${PATIENCE:-120}" ] || final; then
      kill "$asking" 2>/dev/null
      break
    fi
    sleep 1
    waited=$((waited + 1))
  done
  wait "$asking" || code=$?
  case $code in
    0)
      # If it cannot, the next command says that there is a lock.
      open_repository unlock >/dev/null 2>&1 || true
      return 0
      ;;
    10) return 10 ;;
  esac
  explain "$code" "reading" >&2
  return 1
}
# full: whether a server of S3 has said that it has no more space.
full() {
  grep -q -i -e 'free drive threshold' -e 'storage full' -e 'quota' "$errors"
}
# final: whether restic would only repeat an error that time does not help.
final() {
  grep -q -e 'bucket does not exist' -e 'signature we calculated' -e 'Access Denied' -e 'ey I[Dd] you provided' \
    -e 'Bucket name' "$errors"
}

# size BYTES: for people.
size() {
  awk -v bytes="$1" 'BEGIN {
    split("B KiB MiB GiB TiB", unit, " ")
    for (i = 1; bytes >= 1024 && i < 5; i++) bytes /= 1024
    printf (i == 1 ? "%d %s\n" : "%.1f %s\n"), bytes, unit[i]
  }'
}

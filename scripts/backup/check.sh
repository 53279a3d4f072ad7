#!/bin/sh
# What is done with the repository besides backups.
#
# ACTION  check: read a seventh of the stored data back, another one each week, and compare it with its checksums
#         list: print the sets
#         reach: only open the repository, or create it
#         add-key: add the password in $RECOVERY/password, which follows from the recovery key, and remove earlier ones
#         prune: remove old sets
#         state: print the encrypted state of the set AT
set -eu
NAME=${ACTION:-check}
. "$SCRIPTS/repository.sh"
. "$SCRIPTS/sets.sh"

case ${ACTION:-check} in
  check)
    open_existing
    part=$(($(date +%s) / 604800 % 7 + 1))
    report "reading back part $part of 7"
    repository check --quiet --retry-lock 30m --read-data-subset "${SUBSET:-$part/7}" || exit 1
    echo "RESULT {\"part\": $part}"
    ;;
  list)
    open_existing
    listed=$(sets) || exit 1
    recovery=$(repository key list --json | jq '[.[] | select(.userName == "recovery")] | length')
    echo "RESULT {\"sets\": $listed, \"recovery\": $recovery}"
    ;;
  reach)
    open_or_create
    echo 'RESULT {}'
    ;;
  add-key)
    open_or_create
    earlier=$(repository key list --json | jq -r '.[] | select(.userName == "recovery" and (.current | not)) | .id')
    repository key add --user recovery --host "$STACK" --new-password-file "$RECOVERY/password" >/dev/null || exit 1
    for key in $earlier; do
      repository key remove "$key" >/dev/null || report "the earlier recovery key still opens the repository"
    done
    echo 'RESULT {}'
    ;;
  state)
    open_existing
    set_id=$(chosen "$AT") || exit 1
    [ -n "$set_id" ] || fail "AT: there is no set '$AT' of the stack $STACK at $TARGET"
    repository ls "$set_id" /set/state >"$errors.files" || exit 1
    grep '/set/state/part-' "$errors.files" >"$errors.parts" ||
      fail "the set $(short "$set_id") has no state of Pulumi; it was made before make backup-key"
    while IFS= read -r file; do
      repository dump "$set_id" "$file" >"$errors.part" || exit 1
      base64 "$errors.part" | sed "s#^#STATE ${file##*/part-} #"
    done <"$errors.parts"
    echo "RESULT {\"id\": \"$set_id\"}"
    ;;
  prune)
    open_existing
    forget_old || exit 1
    echo 'RESULT {}'
    ;;
  *) fail "ACTION: there is no action '$ACTION'" ;;
esac

# shellcheck shell=sh
# Sourced after repository.sh: the sets in the repository.
#
# A set is a snapshot with the tag `set`. That it was verified or drilled is another, tiny snapshot with the tags
# `record` and `verified=ID` or `drilled=ID`: to add a tag to a snapshot would mean deleting it, which the credentials
# may not be allowed to.
#
# STACK      name of the stack

open_or_create() {
  code=0
  answers || code=$?
  # What tells a target that was emptied from one that is new: the repository of the last set there.
  known=$WORK/repository
  earlier=''
  [ ! -s "$known" ] || earlier=$(awk -v target="$TARGET" '$2 == target { print $1 }' "$known")
  case $code in
    0) ;;
    10)
      [ -z "$earlier" ] || fail "flyte-home:backup.target: the repository at $TARGET has disappeared; nothing was \
stored. If that is right, delete the volume claim backup-work, and make up creates both again"
      report "creating the repository at $TARGET"
      repository init >/dev/null || exit 1
      ;;
    *) exit 1 ;;
  esac
  repository cat config >"$errors.config" || exit 1
  id=$(jq -r .id "$errors.config")
  if [ -n "$earlier" ] && [ "$earlier" != "$id" ]; then
    report "the repository at $TARGET is not the one of earlier backups; everything is stored again"
  fi
  echo "$id $TARGET" >"$known"
}

open_existing() {
  code=0
  answers || code=$?
  [ "$code" -ne 10 ] || fail "flyte-home:backup.target: there is no backup at $TARGET; run make backup STACK=$STACK first"
  [ "$code" -eq 0 ] || exit 1
}

short() {
  printf '%.8s' "$1"
}

# record ID KIND [TEXT]: notes that the set was verified or drilled.
record() {
  printf '%s\n' "${3:-ok}" |
    repository backup --quiet --host "$STACK" --stdin --stdin-filename "$2" --tag "record,$2=$1" >/dev/null
}

# sets: a JSON list of all sets of the stack, the oldest first.
sets() {
  repository snapshots --json --host "$STACK" >"$errors.sets" || return 1
  jq -c '
    def tag($name): [.tags[]? | select(startswith($name + "=")) | ltrimstr($name + "=")] | last;
    def records($name): [.[] | select((.tags // []) | index("record")) | {time, id: tag($name)} | select(.id)];
    records("verified") as $verified | records("drilled") as $drilled | records("drill-failed") as $failed
    | [.[] | select((.tags // []) | index("set")) | .id as $id | {
        id, time, "label": tag("label"), state: tag("state"),
        rows: (tag("rows") // "0" | tonumber), objects: (tag("objects") // "0" | tonumber),
        bytes: (tag("bytes") // "0" | tonumber), added: (.summary.data_added_packed // 0),
        verified: ([$verified[] | select(.id == $id) | .time] | last),
        drilled: ([$drilled[] | select(.id == $id) | .time] | last),
        drill_failed: ([$failed[] | select(.id == $id) | .time] | last)
      }] | sort_by(.time)' "$errors.sets"
}

# chosen AT: the id of a set: `latest`, which is no restore point; the beginning of an id; or the beginning of a time,
# which is that of the last set of that time.
chosen() {
  sets >"$errors.list" || return 1
  jq -r --arg at "$1" '
    if $at == "latest" then [.[] | select(.verified and ."label" != "before-restore")]
    else [.[] | select((.id | startswith($at)) or (.time | startswith($at)))] end | last | .id // ""' "$errors.list"
}

# forget_old: removes sets that are too old, and their records. Never the newest verified one.
forget_old() {
  sets >"$errors.list" || return 1
  newest=$(jq -r '[.[] | select(.verified)] | last | .id // ""' "$errors.list")
  [ -n "$newest" ] || return 0
  # First those that were never verified, because none of them can be restored, and one of them may be the last of its
  # day, week or month. A newer one may yet be verified.
  broken=$(jq -r --arg newest "$newest" '.[: map(.id) | index($newest)][] | select(.verified | not) | .id' "$errors.list")
  if [ -n "$broken" ]; then
    # shellcheck disable=SC2086  # ids have no spaces
    repository forget --quiet --retry-lock 2m $broken >/dev/null || return 1
    sets >"$errors.list" || return 1
    report "removed $(printf '%s\n' "$broken" | grep -c .) sets that were never verified"
  fi
  repository forget --dry-run --json --host "$STACK" --tag set --group-by host --keep-last 1 --keep-within 3d \
    --keep-daily "$KEEP_DAILY" --keep-weekly "$KEEP_WEEKLY" --keep-monthly "$KEEP_MONTHLY" >"$errors.plan" || return 1
  old=$(jq -r --arg newest "$newest" '.[].remove[]?.id | select(. != $newest)' "$errors.plan")
  kept=$(jq -c --arg old "$old" '($old | split("\n")) as $old | [.[].id | select(. as $id | $old | index($id) | not)]' \
    "$errors.list")
  # Records of sets that are gone, also of earlier runs.
  stale=$(jq -r --argjson kept "$kept" '
    .[] | select((.tags // []) | index("record"))
    | select([.tags[] | select(contains("=")) | sub("^[^=]*="; "")] | last | . as $id | $kept | index($id) | not) | .id' \
    "$errors.sets")
  [ -n "$old$stale" ] || return 0
  # shellcheck disable=SC2086  # ids have no spaces
  repository forget --prune --quiet --retry-lock 2m $old $stale >/dev/null || return 1
  [ -z "$old" ] || report "removed $(printf '%s\n' "$old" | grep -c .) old sets"
}

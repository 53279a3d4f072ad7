# shellcheck shell=sh
# Sourced by the last step of a restore: repairs what can be repaired in the restored tables.
#
# WORK    the directory that the earlier steps have filled
# RUN_MISSED_SCHEDULES  true: Flyte starts what its schedules have missed since the set was made
# inside  function that runs a file of SQL in the restored tables

# A cached output without its object would fail every task that asks for it; without the row, the task just runs.
if grep -q '^cache	' "$WORK/dangling.tsv"; then
  sed -n 's/^cache	//p' "$WORK/dangling.tsv" | cut -f1 | sort -u >"$WORK/uncached"
  inside "$SCRIPTS/uncache.sql" <"$WORK/uncached"
  echo "$NAME: $(wc -l <"$WORK/uncached") cached outputs without their object are removed; their tasks will run again"
fi
[ "${RUN_MISSED_SCHEDULES:-false}" = true ] || inside "$SCRIPTS/skip-missed.sql" --set=age='0 minutes'

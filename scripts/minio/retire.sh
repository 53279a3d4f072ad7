#!/bin/sh
# Removes the users of the object store that the stack has made and has no more; buckets and what is in them stay.
# Harmless to repeat. What root.sh wants, and:
#
# SCRIPTS  directory of root.sh
# OWN      the users OWN, OWN.* and OWN-tasks-* are the stack's
# USERS    those of them that stay, separated by spaces
# AFTER    seconds to sleep before (default 0)
set -eu
NAME=retire
sleep "${AFTER:-0}"
. "$SCRIPTS/root.sh"

while read -r line; do
  user=${line#*'"accessKey":"'}
  user=${user%%'"'*}
  case $user in
    "$OWN" | "$OWN."* | "$OWN-tasks-"*)
      case " $USERS " in
        *" $user "*) ;;
        *)
          mc admin user remove store "$user"
          # Where a run is killed before this, a policy without a user stays, and opens nothing.
          mc admin policy remove store "$user"
          ;;
      esac ;;
  esac
done <<LIST
$users
LIST
echo "retire: users $USERS stay"

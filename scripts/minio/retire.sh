#!/bin/sh
# Removes the users and policies of the object store that the stack has created and no longer has. Buckets and their
# content stay. It can be repeated. It needs what root.sh needs, and:
#
# SCRIPTS  directory of root.sh
# OWN      the users and policies OWN, OWN.* and OWN-tasks-* are the stack's
# KEPT     file with the names of those that stay, one a line
# AFTER    seconds to sleep before (default 0)
set -eu
NAME=retire
sleep "${AFTER:-0}"
. "$SCRIPTS/root.sh"

kept="
$(cat "$KEPT")
"
# retired NAME: whether it is the stack's, and not one of those that stay.
retired() {
  case $1 in
    "$OWN" | "$OWN."* | "$OWN-tasks-"*) ;;
    *) return 1 ;;
  esac
  case $kept in
    *"
$1
"*) return 1 ;;
  esac
}

# remove KIND KEY: removes the retired ones of KIND. Standard input has a line of JSON for each, with its name as KEY.
remove() {
  while read -r line; do
    name=${line#*'"'"$2"'":"'} name=${name%%'"'*}
    if retired "$name"; then
      mc admin "$1" remove store "$name"
    fi
  done
}

remove user accessKey <<LIST
$users
LIST
# After the users: MinIO does not remove a policy that a user has.
remove policy policy <<LIST
$policies
LIST
echo "retire: users and policies that the stack no longer has are removed"

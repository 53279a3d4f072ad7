"""``make restore``: restores a set of the backup into a stack.

Usage: python -m ops.restore STACK [--at SET] [--over] [--no-restore-point] [--missed-schedules]
"""

import argparse
import sys
import time

from ops.lib.backup.restoring import Wishes, restore
from ops.lib.engine import engine_environment
from ops.lib.kubectl import Cluster
from ops.lib.stack_file import stack_config
from ops.lib.volumes import Stack
from settings import settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 if the stack works with what was restored, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="restore", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--at", default="latest", help="the set: latest, or the beginning of its id or of its time")
    parser.add_argument("--over", action="store_true", help="replace a database that has content")
    parser.add_argument("--no-restore-point", action="store_true", help="do not back up what is there")
    parser.add_argument("--missed-schedules", action="store_true", help="start what schedules have missed since then")
    args = parser.parse_args()
    begin = time.monotonic()
    try:
        settings = settings_from(*stack_config(args.stack))
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        cluster.check_is(settings.cluster_uid, args.stack)
        stack = Stack(args.stack, settings, cluster, engine_environment())
        wishes = Wishes(args.at, args.over, not args.no_restore_point, args.missed_schedules)
        result = restore(stack, wishes)
    except SettingsError as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    dangling = ", ".join(f"{count} of {kind}" for kind, count in result["dangling"].items()) or "none"
    print(
        f"ok      set {result['id'][:8]} of {result['time']}: {result['rows']} rows, {result['objects']} objects; "
        f"references without an object: {dangling}; in {time.monotonic() - begin:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``make drill``: rehearses a restore of the newest set, in a pod that is removed afterwards with all it has made.

Usage: python -m ops.drill STACK [--at SET]
"""

import argparse
import sys
import time

from components.backup import names
from ops.lib.backup.jobs import Job
from ops.lib.backup.sets import check_has_backup
from ops.lib.kubectl import Cluster
from ops.lib.stack_file import stack_config
from settings import settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 if the set can be restored, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="drill", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--at", default="latest", help="the set: latest, or the beginning of its id or of its time")
    args = parser.parse_args()
    begin = time.monotonic()
    try:
        settings = settings_from(*stack_config(args.stack))
        check_has_backup(settings, args.stack)
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        cluster.check_is(settings.cluster_uid, args.stack)
        result = Job(cluster, settings.drill_namespace, names.DRILL, {"AT": args.at}, removed=True).run()
    except SettingsError as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    print(
        f"ok      set {result['id'][:8]} of {result['time']} can be restored: {result['rows']} rows, "
        f"{result['objects']} objects, in {time.monotonic() - begin:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``make backup``: makes a set of a stack now.

Usage: python -m ops.backup STACK [--label TEXT]
"""

import argparse
import sys
import time

from ops.lib.backup.sealed_state import keep_state
from ops.lib.backup.sets import check_has_backup, take
from ops.lib.engine import engine_environment
from ops.lib.kubectl import Cluster
from ops.lib.stack_file import stack_config
from settings import settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 after a verified set, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="backup", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--label", default="manual", help="why the set is made; default manual")
    args = parser.parse_args()
    begin = time.monotonic()
    try:
        settings = settings_from(*stack_config(args.stack))
        check_has_backup(settings, args.stack)
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        cluster.check_is(settings.cluster_uid, args.stack)
        keep_state(engine_environment(), args.stack, settings, cluster)
        made = take(args.stack, settings, cluster, args.label)
    except SettingsError as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    print(f"ok      set {made[:8]}, verified, in {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

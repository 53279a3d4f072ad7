"""``make abort-stuck``: ends the executions that will never end by themselves.

Usage: python -m ops.abort_stuck STACK

They run according to Flyte's database, but the cluster has no FlyteWorkflow for them; or the cluster has a
FlyteWorkflow that no running row of the database belongs to. Afterwards Flyte shows the former as ABORTED, and the
latter are deleted with their pods. Executions younger than two minutes are left alone.
"""

import argparse
import sys

from ops.lib.flyte_rest import FlyteError
from ops.lib.kubectl import Cluster
from ops.lib.reached import flyte_within_reach
from ops.lib.stack_file import stack_config
from ops.lib.stuck import end_all_stuck, places
from settings import settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 if nothing is stuck any more, 1 with a message otherwise, and 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="abort-stuck", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    args = parser.parse_args()
    count = 0
    try:
        settings = settings_from(*stack_config(args.stack))
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        cluster.check_is(settings.cluster_uid, args.stack)
        with flyte_within_reach(args.stack, settings, cluster, f"make abort-stuck STACK={args.stack}") as client:
            for stuck in end_all_stuck(cluster, client, places(client, settings)):
                count += 1
                print(f"ended   {stuck}", flush=True)
    except (SettingsError, FlyteError) as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # it can be repeated
        return 130
    print(f"ok      {count or 'no'} stuck execution{'' if count == 1 else 's'}{' ended' if count else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

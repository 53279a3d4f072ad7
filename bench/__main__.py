"""``make bench``: measures a stack of its own on a cluster, prints the tables and writes them into docs/performance.md.

Usage: python -m bench --context NAME [--parts program,life,idle,workflows,closure] [--sizes 1,10] [--runs N]
       [--image IMAGE] [--settings FILE]

The stack has one project and one domain, and is destroyed at the end. The cluster must not have a Flyte.
"""

import argparse
import sys

from bench import closure, idle, life, program, workflows
from bench.ending import end_in_order
from bench.report import publish
from bench.settings import further_settings
from bench.timed import say
from ops.lib.example_workflow import ExampleError
from ops.lib.flyte_rest import FlyteError
from ops.lib.kubectl import Cluster
from settings.errors import SettingsError

PARTS = ("program", "life", "idle", "workflows", "closure")
_QUIET_SECONDS = 30
_REST_SECONDS = 120


def main() -> int:
    """Run the command line; return 0, or print a message and return 1 if something cannot be measured."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--context", required=True, help="kubeconfig context of a cluster without a Flyte")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure; default: everything")
    parser.add_argument("--sizes", default="1,10,30,100", help="numbers of projects for the previews")
    parser.add_argument("--runs", type=int, default=5, help="number of measurements of each thing")
    parser.add_argument("--image", default="", help="image of the tasks; default: flytekit's own")
    parser.add_argument("--settings", default="", help="YAML file with further settings of the stack, such as images")
    args = parser.parse_args()
    end_in_order()
    try:
        measure(args)
    except (SettingsError, ExampleError, FlyteError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def measure(args: argparse.Namespace) -> None:
    """Measure the chosen parts, and publish each table when it is complete.

    Raises:
        SettingsError: an argument is wrong, or something failed.
    """
    parts = chosen(args.parts)
    more = further_settings(args.settings)
    cluster = Cluster.of(args.context)
    if "program" in parts:
        publish(program.measure(cluster, [int(size) for size in args.sizes.split(",")], args.runs, more))
    if "life" in parts:
        publish(life.measure(cluster, args.runs, more))
    if "closure" in parts:
        publish(closure.measure(cluster, args.runs, args.image, more))
    if not {"idle", "workflows"} & set(parts):
        return
    life.check_free(cluster)
    quiet = idle.requests_per_minute(cluster, _QUIET_SECONDS) if "idle" in parts else 0
    with life.deployed(cluster, more, {}) as deployed:
        if "idle" in parts:
            say("at rest: waiting a minute after the first up")
            idle.requests_per_minute(cluster, 60)
            publish(idle.measure(cluster, _REST_SECONDS, quiet))
        if "workflows" in parts:
            with workflows.reached(deployed, cluster, args.image) as flows:
                for table in workflows.measure(flows, cluster, args.runs):
                    publish(table)


def chosen(text: str) -> list[str]:
    """The names of the parts to measure.

    Raises:
        SettingsError: there is no such part.
    """
    parts = [part for part in text.replace(",", " ").split() if part]
    if wrong := [part for part in parts if part not in PARTS]:
        raise SettingsError(f"PARTS: there is no part {wrong[0]!r}; write some of {', '.join(PARTS)}")
    return parts


if __name__ == "__main__":
    sys.exit(main())

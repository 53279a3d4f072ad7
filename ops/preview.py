"""``make preview``: shows what ``make up`` would change.

Usage: python -m ops.preview STACK
"""

import argparse
import sys

from ops.lib.engine import REFRESH, engine_environment, pulumi, run
from ops.lib.kubectl import Cluster
from ops.lib.operator_check import check_operator
from ops.lib.stack_file import stack_config
from settings import settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return Pulumi's exit code, or print a message and return 1 if Pulumi cannot start."""
    parser = argparse.ArgumentParser(prog="preview", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
        environment = engine_environment()
        pulumi(environment, "stack", "select", args.stack, "--create")
        if settings.postgres.mode == "cloudnative-pg":  # Pulumi cannot show a change of a kind that is not there
            check_operator(Cluster.of(settings.context, settings.kubeconfig), settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return run(environment, args.stack, "preview", *REFRESH, "--diff")


if __name__ == "__main__":
    sys.exit(main())

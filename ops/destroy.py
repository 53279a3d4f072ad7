"""``make destroy``: removes a stack from its cluster.

Usage: python -m ops.destroy STACK
"""

import argparse
import sys

from ops.lib.backup.sealed_state import forget_state
from ops.lib.destruction import Destruction
from ops.lib.engine import engine_environment, pulumi
from ops.lib.move.record import forget
from ops.lib.stack_file import stack_config
from ops.lib.state import open_state
from ops.lib.update import perform, prepare
from settings import settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return Pulumi's exit code, or print a message and return 1 if Pulumi cannot start."""
    parser = argparse.ArgumentParser(prog="destroy", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
        environment = engine_environment()
        backend = open_state(environment, args.stack)
        pulumi(environment, "stack", "select", args.stack)
        cluster = prepare(environment, backend, args.stack, settings, "destroy", empty=True)
        # Not parts of the stack, so that they would be left in a namespace that stays.
        forget_state(cluster, settings.namespace)
        forget(cluster, settings.namespace)
        watched = Destruction(cluster, settings.namespace, settings.namespaces)
        return perform(environment, args.stack, "destroy", watched)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

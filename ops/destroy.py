"""``make destroy``: removes a stack from its cluster.

Usage: python -m ops.destroy STACK
"""

import argparse
import sys

from ops.lib.engine import engine_environment, pulumi, run, unattended
from ops.lib.stack_file import stack_config
from settings.errors import SettingsError


def main() -> int:
    """The command line; Pulumi's exit code, or 1 with a message if Pulumi could not even start."""
    parser = argparse.ArgumentParser(prog="destroy", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    args = parser.parse_args()
    try:
        stack_config(args.stack)
        environment = engine_environment()
        pulumi(environment, "stack", "select", args.stack)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    # With the program, and so behind its fence. Without it, Pulumi would accept any cluster under the same context.
    return run(environment, args.stack, "destroy", "--run-program", *unattended())


if __name__ == "__main__":
    sys.exit(main())

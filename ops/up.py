"""``make up``: deploys a stack, after setting up what the first run needs.

Usage: python -m ops.up STACK [--context NAME] [--refresh]
"""

import argparse
import sys

from ops.lib.engine import engine_environment, pulumi, run, set_config, unattended
from ops.lib.pinning import TRIAL_STACK, pin_or_create
from ops.lib.stack_file import stack_config
from settings import PROJECT, SAMPLE_CREDENTIALS
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return Pulumi's exit code, or print a message and return 1 if Pulumi cannot start."""
    parser = argparse.ArgumentParser(prog="up", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--context", default="", help="kubeconfig context to pin the stack to")
    parser.add_argument("--refresh", action="store_true", help="read the cluster first, and recreate missing objects")
    args = parser.parse_args()
    try:
        config, _ = stack_config(args.stack)
        environment = engine_environment()
        pulumi(environment, "stack", "select", args.stack, "--create")
        pin_or_create(args.stack, config, args.context, environment)
        if args.stack == TRIAL_STACK and not config.get(f"{PROJECT}:tidalCreds"):
            print(f"{PROJECT}:tidalCreds is not set; using a sample that gives no access to anything")
            set_config(environment, args.stack, f"{PROJECT}:tidalCreds", SAMPLE_CREDENTIALS, secret=True)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    # A refresh runs the program, and so its fence. Otherwise Pulumi would accept any cluster behind the context.
    refreshed = ["--refresh", "--run-program"] if args.refresh else []
    return run(environment, args.stack, "up", *refreshed, *unattended())


if __name__ == "__main__":
    sys.exit(main())

"""``make cluster``: creates or starts a Kubernetes cluster on this machine for the stack `dev`.

Usage: python -m ops.cluster [--k3s]
"""

import argparse
import sys

from ops.lib import dev_cluster
from ops.tools import provide
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 if the cluster answers, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--k3s", action="store_true", help="as a system service, which needs root")
    args = parser.parse_args()
    try:
        provide("kubectl")
        context = dev_cluster.create(args.k3s)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The cluster of {context} answers; make up STACK={dev_cluster.STACK} CONTEXT={context} deploys to it")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``make cluster-delete``: deletes the cluster that ``make cluster`` created, with everything in it.

Usage: python -m ops.cluster_delete
"""

import argparse
import sys

from ops.lib import dev_cluster
from ops.tools import provide
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 if the cluster is deleted, or print a message and return 1."""
    argparse.ArgumentParser(
        prog="cluster-delete", description=__doc__.splitlines()[0] if __doc__ else None
    ).parse_args()
    try:
        provide("kubectl")
        dev_cluster.delete()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

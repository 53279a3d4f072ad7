"""``make move-store``: moves the object store to the mode that the stack file says.

Usage: python -m ops.move_store STACK

It stops Flyte, waits for the tasks that run, copies and compares every bucket, switches Flyte, and checks the stack. If
it fails before the switch, Flyte goes on with the old store. Run again after it was killed, it goes on or begins again.
"""

import sys

from ops.lib.move.command import run_move
from ops.lib.move.store import StoreMove


def main() -> int:
    """Run the command line; return 0 if the stack works with the other store, 1 with a message otherwise."""
    return run_move("store", __doc__, StoreMove.of)


if __name__ == "__main__":
    sys.exit(main())

"""``make move-database``: moves the database to the mode that the stack file says.

Usage: python -m ops.move_database STACK

It stops Flyte, copies and compares every row, switches Flyte, and checks the stack. If it fails before the switch,
Flyte goes on with the old database. Run again after it was killed, it goes on or begins again.
"""

import sys

from ops.lib.move.command import run_move
from ops.lib.move.database import DatabaseMove


def main() -> int:
    """Run the command line; return 0 if the stack works with the other database, 1 with a message otherwise."""
    return run_move("database", __doc__, DatabaseMove.of)


if __name__ == "__main__":
    sys.exit(main())

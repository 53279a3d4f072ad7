"""``make ci-drift``: reports whether the cluster matches the state, and the state matches the program.

Usage: python -m ops.ci.drift STACK OUT

The report drift-STACK.md is empty if there is no drift.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ops.ci.lib.changes import Change
from ops.ci.lib.engine import EngineError, engine
from ops.ci.lib.report import table, write
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 with or without drift, or print a message and return 1 if the check failed."""
    parser = argparse.ArgumentParser(prog="drift", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    try:
        with engine(args.stack) as found:
            # Run the program, because its fence rejects any other cluster behind the context.
            cluster = found.ask(found.stack.preview_refresh, run_program=True).all
            program = found.ask(found.stack.preview).all
    except (SettingsError, EngineError) as error:
        print(error, file=sys.stderr)
        return 1
    write(args.out, f"drift-{args.stack}", described(args.stack, cluster, program))
    print(f"{args.stack}: {'drift' if cluster or program else 'no drift'}")
    return 0


def described(stack: str, cluster: Sequence[Change], program: Sequence[Change]) -> str:
    """Return the report; empty if there is no drift."""
    parts = []
    if cluster:
        parts.append(
            f"The cluster differs from the state: it was changed by hand, or by something inside it. "
            f"`make up STACK={stack}` restores it.\n\n{table(cluster)}"
        )
    if program:
        parts.append(
            f"This commit would change the stack: `make up STACK={stack}` did not run since, or something else was "
            f"deployed.\n\n{table(program)}"
        )
    return "\n\n".join([f"### Drift of `{stack}`", *parts]) + "\n" if parts else ""


if __name__ == "__main__":
    sys.exit(main())

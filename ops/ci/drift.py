"""``make ci-drift``: whether the cluster is what the state says, and the state what the program says.

Usage: python -m ops.ci.drift STACK OUT

The report drift-STACK.md is empty where there is no drift.
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
    """The command line; 0 if the stack could be asked, whatever the answer, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="drift", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    try:
        with engine(args.stack) as found:
            # With the program, and so with its fence: otherwise any cluster of the same context would be believed.
            cluster = found.ask(found.stack.preview_refresh, run_program=True).all
            program = found.ask(found.stack.preview).all
    except (SettingsError, EngineError) as error:
        print(error, file=sys.stderr)
        return 1
    write(args.out, f"drift-{args.stack}", described(args.stack, cluster, program))
    print(f"{args.stack}: {'drift' if cluster or program else 'no drift'}")
    return 0


def described(stack: str, cluster: Sequence[Change], program: Sequence[Change]) -> str:
    """The report; empty if nothing has drifted."""
    parts = []
    if cluster:
        parts.append(
            f"The cluster is not what the state says; somebody changed it by hand, or something in it did. "
            f"`make up STACK={stack} REFRESH=1` makes it as written.\n\n{table(cluster)}"
        )
    if program:
        parts.append(
            f"This commit would change the stack: `make up STACK={stack}` was not run since, or somebody deployed "
            f"something else.\n\n{table(program)}"
        )
    return "\n\n".join([f"### Drift of `{stack}`", *parts]) + "\n" if parts else ""


if __name__ == "__main__":
    sys.exit(main())

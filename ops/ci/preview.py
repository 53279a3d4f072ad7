"""``make ci-preview``: reports what a change does to a deployed stack, and fails if it would lose data.

Usage: python -m ops.ci.preview STACK OUT [--allow-data-loss]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ops.ci.lib.changes import Change, losses
from ops.ci.lib.engine import EngineError, engine
from ops.ci.lib.report import block, folded, table, write
from settings.errors import SettingsError

LABEL = "allow-data-loss"


def main() -> int:
    """Run the command line; return 0 if the change is allowed, and 1 if it is not or the preview failed."""
    parser = argparse.ArgumentParser(prog="preview", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("out", type=Path)
    parser.add_argument("--allow-data-loss", action="store_true")
    args = parser.parse_args()
    report = f"preview-{args.stack}"
    try:
        with engine(args.stack) as found:
            changes = found.ask(found.stack.preview).all
    except (SettingsError, EngineError) as error:
        write(args.out, report, failed(args.stack, str(error)))
        print(error, file=sys.stderr)
        return 1
    write(args.out, report, described(args.stack, changes, args.allow_data_loss))
    lost = losses(changes)
    for change in lost:
        print(f"{change.operation} {change.name}: data would be lost", file=sys.stderr)
    if lost and not args.allow_data_loss:
        print(f"To allow it, add the label {LABEL} on GitHub, or set ALLOW_DATA_LOSS=yes here", file=sys.stderr)
    return 1 if lost and not args.allow_data_loss else 0


def described(stack: str, changes: Sequence[Change], allowed: bool) -> str:
    """Return the report about the changes to a stack."""
    title = f"### Preview of `{stack}`"
    if not changes:
        return f"{title}: no change\n"
    lost = losses(changes)
    parts = [f"{title}: {_counted(changes)}"]
    if lost:
        verdict = "allowed by the label" if allowed else "rejected without the label"
        parts.append(f"**Data would be lost**: {verdict} `{LABEL}`. See docs/backup.md first.\n\n{table(lost)}")
    parts.append(folded("All changes", table(changes)))
    return "\n\n".join(parts) + "\n"


def failed(stack: str, message: str) -> str:
    """Return the report about a preview that failed."""
    return f"### Preview of `{stack}`: failed\n\n{block(message)}\n"


def _counted(changes: Sequence[Change]) -> str:
    operations = [change.operation for change in changes]
    return ", ".join(f"{operations.count(name)} {name}" for name in sorted(set(operations)))


if __name__ == "__main__":
    sys.exit(main())

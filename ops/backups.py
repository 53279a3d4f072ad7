"""``make backups``: lists the sets of a stack.

Usage: python -m ops.backups STACK [--json]
"""

import argparse
import io
import json
import sys
from dataclasses import asdict

from ops.lib.backup.sets import BackupSet, age, check_has_backup, listed, size
from ops.lib.kubectl import Cluster
from ops.lib.stack_file import stack_config
from settings import settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 if there is a verified set, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="backups", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
        check_has_backup(settings, args.stack)
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        cluster.check_is(settings.cluster_uid, args.stack)
        sets, keys = listed(settings, cluster, io.StringIO())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps({"sets": [asdict(one) for one in sets], "recoveryKeys": keys}, default=str))
    else:
        print("\n".join(table(sets)))
        if not keys:
            print(f"No recovery key opens them. Run: make backup-key STACK={args.stack}")
    if any(one.verified for one in sets):
        return 0
    print(f"stack {args.stack!r} has no verified set; run make backup STACK={args.stack}", file=sys.stderr)
    return 1


def table(sets: list[BackupSet]) -> list[str]:
    """Return the sets as lines of a table, the newest last."""
    columns = "{:<9} {:<17} {:>11} {:<15} {:>9} {:>8} {:>10} {:>10}  {}"
    head = columns.format("set", "time (UTC)", "age", "made for", "rows", "objects", "size", "added", "checks")
    return [head, *(columns.format(*_row(one)) for one in sets)]


def _row(one: BackupSet) -> tuple[object, ...]:
    checks = ["verified" if one.verified else "NOT VERIFIED"]
    if one.drilled:
        checks.append(f"drilled {age(one.drilled)} ago")
    if one.drill_failed:
        checks.append("DRILL FAILED")
    if not one.state:
        checks.append("without Pulumi's state")
    return (
        one.short,
        f"{one.time:%Y-%m-%d %H:%M}",
        age(one.time),
        one.label,
        one.rows,
        one.objects,
        size(one.size),
        size(one.added),
        ", ".join(checks),
    )


if __name__ == "__main__":
    sys.exit(main())

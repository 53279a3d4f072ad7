"""The check of the backup: whether there is one, how old its last set is, and whether it opens without this machine."""

from collections.abc import Iterator

from components.backup import names
from ops.doctor.check import Result, ok, remark
from ops.doctor.cron_jobs import Expected, last_success, troubles
from ops.doctor.stack import Stack
from ops.lib.backup.sets import age


def check_backup(stack: Stack) -> Iterator[Result]:
    """Check that the last backup, the last check of the repository and the last rehearsal ended well and in time."""
    settings = stack.settings
    if not settings.backup.target:
        if settings.protect:
            yield remark(
                "flyte-home:backup.target is empty: the loss of a disk is the loss of the data", "docs/backup.md"
            )
        else:
            yield ok("none, as flyte-home:backup.target is empty")
        return
    zone = settings.backup.time_zone
    backup = Expected(
        names.BACKUP, stack.namespace, "backup", settings.backup.schedule, zone, f"make backup STACK={stack.name}"
    )
    check = Expected(names.CHECK, stack.namespace, "check of the repository")
    drill = Expected(
        names.DRILL,
        settings.drill_namespace,
        "rehearsed restore",
        settings.backup.drill_schedule,
        zone,
        f"make drill STACK={stack.name}",
    )
    found = [result for expected in (backup, check, drill) for result in troubles(stack, expected)]
    yield from found
    last = last_success(stack, backup)
    if not last and not found:
        yield remark("there is no set yet", backup.command)
    if not settings.backup.recovery_key:
        yield remark(
            "no recovery key: without this machine and the cluster, nothing opens the sets",
            f"make backup-key STACK={stack.name}",
        )
    if last and not found:
        yield ok(f"the last set is {age(last)} old")

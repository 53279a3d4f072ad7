"""The check of the CronJob that deletes old rows of Flyte's database."""

from collections.abc import Iterator

from components.retention import CRON_JOB
from ops.doctor.check import Result, ok
from ops.doctor.cron_jobs import Expected, last_success, troubles
from ops.doctor.stack import Stack
from ops.lib.backup.sets import age


def check_retention(stack: Stack) -> Iterator[Result]:
    """Check that rows were deleted in time: if they stay, they outlive the objects that they point at."""
    expected = Expected(
        CRON_JOB,
        stack.namespace,
        "deletion of old rows",
        stack.settings.retention.schedule,
        "Etc/UTC",
        f"make gc STACK={stack.name}",
    )
    found = list(troubles(stack, expected))
    yield from found
    last = last_success(stack, expected)
    if not found:
        yield ok(f"the last deletion of old rows was {age(last)} ago" if last else "no rows were deleted yet")

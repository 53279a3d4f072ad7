"""Rules for retention: objects live longer than the rows that point at them."""

from collections.abc import Iterator

from settings.messages.commands import set_command
from settings.schedules import longest_gap
from settings.stack import PROJECT, Settings

# The store counts from the moment at which an object was written, rows are counted from the end of the execution.
_LONGEST_RUN_DAYS = 7
_KEY = f"{PROJECT}:retention"


def retention_problems(settings: Settings) -> Iterator[str]:
    """Objects that would expire before the rows that point at them."""
    retention = settings.retention
    if not retention.objects:
        return
    late = longest_gap(retention.schedule).days
    for name in ("executions", "cache"):
        if not getattr(retention, name):
            key = f"{_KEY}.{name}"
            most = (retention.objects - late - _LONGEST_RUN_DAYS) // 2
            yield (
                f"{key}: is 0, so that rows of the database would point at objects that {_KEY}.objects "
                f"({retention.objects} days) has deleted; write {set_command(key, max(1, most))}"
            )
    for days, reason in required_object_days(settings):
        if retention.objects < days:
            key = f"{_KEY}.objects"
            yield f"{key}: {retention.objects} days are too few: {reason}; write {set_command(key, days)}"


def required_object_days(settings: Settings) -> Iterator[tuple[int, str]]:
    """Days for which objects must be kept, each with its reason. Whatever else needs old objects is added here."""
    retention = settings.retention
    if retention.executions and retention.cache:
        reused = max(retention.executions, retention.cache)
        late = longest_gap(retention.schedule).days
        yield (
            retention.executions + reused + late + _LONGEST_RUN_DAYS,
            f"an execution is kept for {retention.executions} after its end and deleted up to {late} later, can reuse "
            f"an output that is {reused} days old, from the cache or by recovery, and may run for {_LONGEST_RUN_DAYS}",
        )

"""Rules for retention: objects live longer than the rows that point at them."""

from collections.abc import Iterator

from settings.messages.commands import set_command
from settings.stack import PROJECT, Settings

_KEY = f"{PROJECT}:retention"


def retention_problems(settings: Settings) -> Iterator[str]:
    """Objects that would expire before the rows that point at them."""
    retention = settings.retention
    if not retention.objects:
        return
    for name in ("executions", "cache"):
        if not getattr(retention, name):
            key = f"{_KEY}.{name}"
            yield (
                f"{key}: is 0, so that rows of the database would point at objects that {_KEY}.objects "
                f"({retention.objects} days) has deleted; write {set_command(key, max(1, retention.objects // 2))}"
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
        yield (
            retention.executions + reused,
            f"an execution is kept for {retention.executions}, and can reuse an output that is {reused} days old, from "
            "the cache or by recovery",
        )

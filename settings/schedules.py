"""When something runs by itself, in the notation of cron that a CronJob reads."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # any midnight
_YEAR = timedelta(days=366)
# cronsim also knows the last day of a month, and 7 for Sunday, which a CronJob rejects
# (https://pkg.go.dev/github.com/robfig/cron/v3#hdr-CRON_Expression_Format).
_VALUE = r"(?:\d+|[A-Za-z]{3})"
_PART = rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/\d+)?"
_FIELD = re.compile(rf"{_PART}(?:,{_PART})*")


def _schedule(value: str) -> str:
    fields = value.split()
    if len(fields) != 5 or not all(map(_FIELD.fullmatch, fields)) or not _runs(value):
        raise ValueError("is not a schedule of cron; write it like 17 3 * * * for every day at 03:17")
    if re.search(r"\b7\b", re.sub(r"/\d+", "", fields[4])):
        raise ValueError("has the weekday 7, which a CronJob does not know; write 0 for Sunday")
    return value


def _runs(value: str) -> bool:
    try:
        return next(CronSim(value, _EPOCH), None) is not None
    except CronSimError:
        return False


def _optional_schedule(value: str) -> str:
    return value and _schedule(value)


Schedule = Annotated[str, AfterValidator(_schedule)]
"""Schedule in the five fields of cron: minute, hour, day, month, weekday."""

OptionalSchedule = Annotated[str, AfterValidator(_optional_schedule)]
"""A schedule, or nothing."""


def longest_gap(schedule: str) -> timedelta:
    """The longest time between a day on which a schedule runs and the next one, as far as a year shows it."""
    longest, day = timedelta(), _EPOCH
    while day - _EPOCH < _YEAR:
        later = next(CronSim(schedule, day + timedelta(days=1, minutes=-1)))
        following = later.replace(hour=0, minute=0)
        longest, day = max(longest, following - day), following
    return longest

"""How long Flyte's rows, its objects and its finished pods are kept."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from settings.values import Model

_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?")


def _cron(value: str) -> str:
    """Five fields with numbers, as every CronJob accepts them."""
    fields = value.split()
    if len(fields) != len(_CRON_RANGES) or not all(map(_is_cron_field, fields, _CRON_RANGES)):
        raise ValueError("is not a time in the notation of cron; write minute, hour, day, month, weekday: 17 3 * * *")
    return value


def _is_cron_field(field: str, limits: tuple[int, int]) -> bool:
    least, most = limits
    for part in field.split(","):
        match = _CRON_PART.fullmatch(part)
        if not match:
            return False
        first, last, step = (int(found) if found else None for found in match.groups())
        if step == 0 or any(not least <= number <= most for number in (first, last) if number is not None):
            return False
        if first is not None and last is not None and first > last:
            return False
    return True


Days = Annotated[int, Field(ge=0, le=3650)]
"""A number of days; 0: for ever."""


class RetentionSettings(Model):
    """How long Flyte's rows, its objects and its finished pods are kept."""

    executions: Days = 0
    """Days after which a finished execution is deleted from the database; 0: never."""
    cache: Days = 0
    """Days after which a cached output is forgotten, so that its task runs again; 0: never."""
    objects: Days = 0
    """Days after which the object store deletes the data of executions; 0: never."""
    schedule: Annotated[str, AfterValidator(_cron)] = "17 3 * * *"
    """Time in UTC at which rows are deleted, in the notation of cron."""
    finished_hours: int = Field(default=23, ge=1, le=23)
    """Hours for which the cluster keeps the pods of a finished execution. Flyte's own limit is 23."""
    finished_pods: Literal["keep", "delete"] = "keep"
    """delete: a task's pod is deleted as soon as it has finished, with its log."""

    @property
    def rows(self) -> bool:
        """Whether rows of the database are deleted."""
        return bool(self.executions or self.cache)

"""How long Flyte's rows, its objects and its finished pods are kept."""

from typing import Annotated, Literal

from pydantic import Field

from settings.schedules import Schedule
from settings.values import Model

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
    schedule: Schedule = "17 3 * * *"
    """Time in UTC at which rows are deleted, in cron's five fields."""
    finished_hours: int = Field(default=23, ge=1, le=23)
    """Hours for which the cluster keeps the pods of a finished execution. Flyte's own limit is 23."""
    finished_pods: Literal["keep", "delete"] = "keep"
    """delete: a task's pod is deleted as soon as it has finished, with its log."""

    @property
    def rows(self) -> bool:
        """Whether rows of the database are deleted."""
        return bool(self.executions or self.cache)

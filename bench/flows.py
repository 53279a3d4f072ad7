"""The workflows that `make bench` and `make load` run. Each task returns when it began, in seconds since 1970.

`make bench` registers this file with Flyte's own client.
"""

import time

from flytekit import map_task, task, workflow


@task
def step(before: list[float]) -> list[float]:
    """Do nothing; return the beginnings of the steps ``before`` and of this one."""
    return [*before, time.time()]


@task
def begin(_number: int) -> float:
    """Do nothing; return when it began."""
    return time.time()


@task(cache=True, cache_version="1.0")
def remembered(before: list[float]) -> list[float]:
    """Like `step`, but Flyte remembers its result."""
    return [*before, time.time()]


@workflow
def one() -> list[float]:
    """One task."""
    return step(before=[])


@workflow
def chain() -> list[float]:
    """Five tasks, each of which waits for the one before."""
    first = step(before=[])
    second = step(before=first)
    third = step(before=second)
    fourth = step(before=third)
    return step(before=fourth)


@workflow
def many(numbers: list[int]) -> list[float]:
    """A map over these numbers."""
    return map_task(begin)(_number=numbers)


@workflow
def cached() -> list[float]:
    """One task whose result Flyte remembers."""
    return remembered(before=[])


@workflow
def seventy() -> list[float]:
    """Seventy nodes, all of which Flyte remembers after `cached`. It rejects more than a hundred in one workflow."""
    nodes = [remembered(before=[]) for _ in range(70)]
    return nodes[-1]


@workflow
def wide() -> list[float]:
    """Four workflows of seventy nodes each."""
    workflows = [seventy() for _ in range(4)]
    return workflows[-1]

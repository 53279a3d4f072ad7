"""What the CronJobs of a stack say about their last runs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim

from ops.doctor.check import Result, wrong
from ops.doctor.stack import Stack
from ops.lib.backup.sets import age
from ops.lib.text import one_line
from ops.lib.workloads import Object

# How late a success may be: a pod that starts late, and one that takes long.
_LATE = timedelta(hours=6)
# Every difference to UTC, for where the time zone of a schedule is not known.
_ZONES = tuple(timezone(timedelta(hours=hours)) for hours in range(-12, 15))


@dataclass(frozen=True)
class Expected:
    """A CronJob that a stack has, and how often it should succeed."""

    name: str
    namespace: str
    purpose: str
    """What a run is, such as ``check of the repository``."""
    schedule: str = ""
    """When it runs, in the five fields of cron; empty: only when someone asks for it, or it does not matter when."""
    zone: str = ""
    """Time zone of the schedule; empty: that of the cluster's control plane, which the API server does not tell."""
    command: str = ""
    """Command that runs it now; empty if there is none."""


def troubles(stack: Stack, expected: Expected) -> Iterator[Result]:
    """Yield what is wrong with a CronJob: it is missing, its last Job failed, or it is long since one succeeded."""
    cron_job = _cron_job(stack, expected)
    if not cron_job:
        yield wrong(f"the CronJob {expected.name} is not in the namespace {expected.namespace}", stack.up_again)
        return
    last = _last_success(cron_job)
    failed = _failed_since(stack, cron_job, last)
    if failed:
        yield _failure(stack, expected, failed["metadata"]["name"])
        return
    if not expected.schedule:
        return
    if _due(expected, last or _time(cron_job["metadata"]["creationTimestamp"])) < datetime.now(UTC):
        since = f"the last {expected.purpose} is {age(last)} old" if last else f"there was never a {expected.purpose}"
        yield wrong(f"{since}, but its schedule is {expected.schedule!r}", expected.command)


def last_success(stack: Stack, expected: Expected) -> datetime | None:
    """Return when a Job of the CronJob last succeeded; None if none has, or the CronJob is missing."""
    return _last_success(_cron_job(stack, expected))


def _due(expected: Expected, since: datetime) -> datetime:
    """Return the time at which the next success is overdue, in the zone in which that is latest."""
    try:
        zones: tuple[tzinfo, ...] = (ZoneInfo(expected.zone),)
    except (ValueError, ZoneInfoNotFoundError):  # empty, or not known on this machine
        zones = _ZONES
    return max(next(CronSim(expected.schedule, since.astimezone(zone))) for zone in zones) + _LATE


def _failure(stack: Stack, expected: Expected, job: str) -> Result:
    place = f"--namespace={expected.namespace}"
    log = stack.cluster.run("logs", f"job/{job}", place, "--all-containers", "--tail=1")
    said = one_line(log.stdout.strip())
    shown = stack.cluster.shown("logs", f"job/{job}", "--namespace", expected.namespace, "--all-containers")
    remedy = "\n".join(filter(None, [shown, expected.command]))
    return wrong(f"the last {expected.purpose} has failed{f': {said}' if said else ''}", remedy)


def _cron_job(stack: Stack, expected: Expected) -> Object | None:
    answer = stack.cluster.ask("get", "cronjobs", f"--namespace={expected.namespace}", "--output=json")
    return next((found for found in json.loads(answer)["items"] if found["metadata"]["name"] == expected.name), None)


def _failed_since(stack: Stack, cron_job: Object, last: datetime | None) -> Object | None:
    """Return the newest run of a CronJob, if it has failed since the last success.

    A Job that the CronJob owns but does not control asks the repository something, such as that of make backups.
    """
    namespace = cron_job["metadata"]["namespace"]
    answer = stack.cluster.ask("get", "jobs", f"--namespace={namespace}", "--output=json")
    ours = [
        job
        for job in json.loads(answer)["items"]
        if any(
            owner["uid"] == cron_job["metadata"]["uid"] and owner.get("controller")
            for owner in job["metadata"].get("ownerReferences", [])
        )
    ]
    ended = [(ends, job) for job in ours if (ends := _ended_badly(job)) and (not last or ends > last)]
    return max(ended, key=lambda one: one[0])[1] if ended else None


def _ended_badly(job: Object) -> datetime | None:
    for condition in job["status"].get("conditions", []):
        if condition["type"] == "Failed" and condition["status"] == "True":
            return _time(condition["lastTransitionTime"])
    return None


def _last_success(cron_job: Mapping[str, Object] | None) -> datetime | None:
    text = cron_job["status"].get("lastSuccessfulTime") if cron_job else None
    return _time(text) if text else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

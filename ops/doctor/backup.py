"""The check of the backup: whether there is one, how old its last set is, and whether it opens without this machine."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from cronsim import CronSim

from components.backup import names
from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack
from ops.lib.backup.sets import age
from ops.lib.text import one_line
from ops.lib.workloads import Object

# How late a set may be: a pod that starts late, and one that takes long.
_LATE = timedelta(hours=6)
_PURPOSES = {
    names.BACKUP: ("backup", "make backup STACK={}"),
    names.CHECK: ("check of the repository", ""),
    names.DRILL: ("rehearsed restore", "make drill STACK={}"),
}


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
    fine = True
    for result in _troubles(stack):
        fine = False
        yield result
    if not settings.backup.recovery_key:
        yield remark(
            "no recovery key: without this machine and the cluster, nothing opens the sets",
            f"make backup-key STACK={stack.name}",
        )
    last = _last_success(_cron_jobs(stack, stack.namespace).get(names.BACKUP))
    if fine and last:
        yield ok(f"the last set is {age(last)} old")


def _troubles(stack: Stack) -> Iterator[Result]:
    for namespace, wanted in (
        (stack.namespace, {names.BACKUP: stack.settings.backup.schedule, names.CHECK: ""}),
        (stack.settings.drill_namespace, {names.DRILL: stack.settings.backup.drill_schedule}),
    ):
        found = _cron_jobs(stack, namespace)
        for name, schedule in wanted.items():
            if name not in found:
                yield wrong(f"the CronJob {name} is not in the namespace {namespace}", stack.up_again)
            else:
                yield from _trouble(stack, found[name], schedule)


def _trouble(stack: Stack, cron_job: Object, schedule: str) -> Iterator[Result]:
    """Yield what is wrong with one CronJob: its last Job failed, or it is long since one succeeded."""
    name, namespace = cron_job["metadata"]["name"], cron_job["metadata"]["namespace"]
    purpose, command = _PURPOSES[name]
    last = _last_success(cron_job)
    failed = _failed_since(stack, cron_job, last)
    if failed:
        job = failed["metadata"]["name"]
        log = stack.cluster.run("logs", f"job/{job}", f"--namespace={namespace}", "--all-containers", "--tail=1")
        yield wrong(
            f"the last {purpose} has failed{f': {one_line(log.stdout.strip())}' if log.stdout.strip() else ''}",
            "\n".join(
                filter(
                    None,
                    [
                        stack.cluster.shown("logs", f"job/{job}", "--namespace", namespace, "--all-containers"),
                        command.format(stack.name),
                    ],
                )
            ),
        )
        return
    if not schedule:
        return
    began = last or _time(cron_job["metadata"]["creationTimestamp"])
    due = next(CronSim(schedule, began)) + _LATE
    if due < datetime.now(UTC):
        since = f"the last {purpose} is {age(last)} old" if last else f"there was never a {purpose}"
        yield wrong(f"{since}, but its schedule is {schedule!r}", command.format(stack.name))
    elif not last and name == names.BACKUP:
        yield remark("there is no set yet", command.format(stack.name))


def _cron_jobs(stack: Stack, namespace: str) -> dict[str, Object]:
    answer = stack.cluster.ask("get", "cronjobs", f"--namespace={namespace}", "--output=json")
    return {found["metadata"]["name"]: found for found in json.loads(answer)["items"]}


def _failed_since(stack: Stack, cron_job: Object, last: datetime | None) -> Object | None:
    """Return the newest Job of a CronJob, if it has failed since the last success."""
    namespace = cron_job["metadata"]["namespace"]
    answer = stack.cluster.ask("get", "jobs", f"--namespace={namespace}", "--output=json")
    ours = [
        job
        for job in json.loads(answer)["items"]
        if any(owner["uid"] == cron_job["metadata"]["uid"] for owner in job["metadata"].get("ownerReferences", []))
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

"""Rules for what task pods may do and use."""

from collections.abc import Iterator
from typing import get_args

from settings.messages.commands import remove_command, set_command
from settings.quantities import check_order, quantity
from settings.stack import PROJECT, Settings
from settings.tasks import PodSecurityLevel, Quota, TaskSettings, VolumeType
from settings.values import PartError

# The highest Pod Security level that allows a type of volume; the others are allowed by all levels.
_HIGHEST: dict[VolumeType, PodSecurityLevel] = {
    "hostPath": "privileged",
    "fc": "baseline",
    "iscsi": "baseline",
    "nfs": "baseline",
}


def privilege_problems(settings: Settings) -> Iterator[str]:
    """Projects whose pods would have more rights than the stack allows, or more rights without a reason."""
    levels = list(get_args(PodSecurityLevel))
    tasks = settings.tasks
    lowest = f"{PROJECT}:tasks.lowestPodSecurity, which is {tasks.lowest_pod_security!r}"
    if levels.index(tasks.pod_security) < levels.index(tasks.lowest_pod_security):
        yield f"{PROJECT}:tasks.podSecurity: {tasks.pod_security!r} is lower than {lowest}; raise it, or lower that"
    for index, project in enumerate(settings.projects):
        enforced = project.pod_security.enforce if project.pod_security else tasks.pod_security
        if project.run_as_user == 0 and enforced == "restricted":
            yield (
                f"{PROJECT}:projects[{index}].runAsUser: 0 is root, which its Pod Security level 'restricted' "
                "forbids; write another user, or podSecurity: {enforce: baseline, reason: why}"
            )
        for number, volume in enumerate(project.volume_types):
            if levels.index(enforced) > levels.index(_HIGHEST.get(volume, "restricted")):
                key = f"{PROJECT}:projects[{index}].volumeTypes[{number}]"
                yield (
                    f"{key}: {volume!r} has no effect, because its Pod Security level {enforced!r} forbids it; write "
                    f"podSecurity: {{enforce: {_HIGHEST[volume]}, reason: why}}, or {remove_command(key)}"
                )
        if not project.pod_security:
            continue
        setting, wanted = f"{PROJECT}:projects[{index}].podSecurity", project.pod_security.enforce
        if levels.index(wanted) < levels.index(tasks.lowest_pod_security):
            yield f"{setting}: {wanted!r} is lower than {lowest}; leave it out, or lower that"
        elif levels.index(wanted) < levels.index(tasks.pod_security) and not project.pod_security.reason.strip():
            yield (
                f"{setting}: {wanted!r} gives its pods more rights than {tasks.pod_security!r}, but has no reason; "
                f"write {{enforce: {wanted}, reason: why}}, or leave it out"
            )


def api_access_warnings(settings: Settings) -> Iterator[str]:
    """Projects whose tasks may use Flyte's API."""
    names = [
        project.name
        for project in settings.projects
        if settings.network.enabled and (project.egress or settings.tasks.egress).flyte
    ]
    if names:
        yield (
            f"{PROJECT}:projects: the tasks of {', '.join(names)} may connect to Flyte's API (egress.flyte). Flyte "
            "does not limit what its users do, so these tasks can start everything in every project, and read the "
            "secrets and the data of all projects"
        )


def quota_problems(settings: Settings) -> Iterator[str]:
    """Quotas that block every task, because not even one with the default resources fits."""
    quotas = {f"{PROJECT}:tasks.quota": settings.tasks.quota}
    quotas |= {
        f"{PROJECT}:projects[{index}].quota": project.quota
        for index, project in enumerate(settings.projects)
        if project.quota
    }
    for setting, quota in quotas.items():
        if not quota.enabled:
            continue
        try:
            check_order(**{"tasks.requests": settings.tasks.requests, "quota.requests": quota.requests})
            check_order(**{"tasks.limits": settings.tasks.limits, "quota.limits": quota.limits})
        except PartError as error:
            command = set_command(f"{setting.removesuffix('quota')}{error.part}", error.example)
            yield f"{setting}: no task would ever start, because it {error}: {command}"
            continue
        if quantity(quota.ephemeral_storage) < quantity(settings.tasks.ephemeral_storage):
            yield (
                f"{setting}.ephemeralStorage: {quota.ephemeral_storage} is less than {PROJECT}:tasks.ephemeralStorage, "
                f"which is {settings.tasks.ephemeral_storage}; no task would ever start: raise it, or lower that"
            )
    tasks = settings.tasks
    if tasks.quota.enabled and (over := _over_quota(tasks, tasks.quota)):
        yield (
            f"{PROJECT}:tasks.maximum.{over}: {tasks.maximum.by_name[over]} is more than {PROJECT}:tasks.quota.limits."
            f"{over}, which is {tasks.quota.limits.by_name[over]}; a task that asks for it would never start: write "
            f"{set_command(f'{PROJECT}:tasks.maximum.{over}', tasks.quota.limits.by_name[over])}, or raise the quota"
        )


def quota_warnings(settings: Settings) -> Iterator[str]:
    """Projects whose own quota is lower than what one task may ask for."""
    for index, project in enumerate(settings.projects):
        quota = project.quota
        if quota and quota.enabled and (over := _over_quota(settings.tasks, quota)):
            yield (
                f"{PROJECT}:projects[{index}].quota.limits.{over}: {quota.limits.by_name[over]} is less than "
                f"{PROJECT}:tasks.maximum.{over}; a task of {project.name} that asks for more never starts"
            )


def _over_quota(tasks: TaskSettings, quota: Quota) -> str:
    """The resource of which one task may ask for more than the quota allows for all; empty if there is none."""
    allowed = quota.limits.by_name
    over = (name for name, amount in tasks.maximum.by_name.items() if quantity(amount) > quantity(allowed[name]))
    return next(over, "")

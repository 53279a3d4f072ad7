"""Rules for the names of projects, domains, secrets and namespaces."""

from collections.abc import Iterator, Sequence

from settings.commands import set_command
from settings.projects import TaskScope
from settings.secrets import TASK_STORE_SECRET
from settings.shown import shown
from settings.stack import FIELDS, PROJECT, Settings

# First part of the names of objects in Flyte's own bucket that belong to no project.
_OF_FLYTES_BUCKET = {"admin", "artifacts", "data", "metadata"}


def name_problems(settings: Settings) -> Iterator[str]:
    """Names that occur twice, that are reserved, or that Kubernetes rejects."""
    if not settings.projects:
        yield f"{PROJECT}:projects: names no project; write at least one, such as [{{name: remedy}}]"
    yield from _repeated("projects", "name", [project.name for project in settings.projects])
    for index, name in enumerate(project.name for project in settings.projects):
        if name in _OF_FLYTES_BUCKET:
            key = f"{PROJECT}:projects[{index}].name"
            yield (
                f"{key}: Flyte keeps its own data under the name {shown(name)} in its bucket, which the project could "
                f"then read; write another: {set_command(key, f'my-{name}')}"
            )
    yield from _repeated("domains", "id", settings.domains)
    # Each is mounted in a directory of its name.
    yield from _repeated("secretManager.globalSecrets", "name", settings.secret_manager.global_secrets)
    yield from _egress_problems(settings)
    yield from _secret_name_problems(settings)


def _egress_problems(settings: Settings) -> Iterator[str]:
    """Egress to the stack's own namespace, which would open the database and all ports of Flyte."""
    reaches = {f"{PROJECT}:tasks.egress": settings.tasks.egress, f"{PROJECT}:auth.egress": settings.auth.egress}
    reaches |= {
        f"{PROJECT}:projects[{index}].egress": project.egress
        for index, project in enumerate(settings.projects)
        if project.egress
    }
    for setting, reach in reaches.items():
        if settings.namespace in reach.namespaces:
            yield (
                f"{setting}.namespaces: {shown(settings.namespace)} is the namespace of the stack itself, whose "
                "servers are not for tasks; leave it out, and write flyte: true if tasks need Flyte's API"
            )


def _secret_name_problems(settings: Settings) -> Iterator[str]:
    for name in sorted({key.setting for group in settings.task_secrets for key in group.keys} & FIELDS.keys()):
        if name != "tidalCreds":
            yield f"{PROJECT}:taskSecrets: {shown(name)} is a setting of the stack itself; choose another name"
    yield from _repeated("taskSecrets", "group", [group.group for group in settings.task_secrets])
    for index, group in enumerate(settings.task_secrets):
        yield from _repeated(f"taskSecrets[{index}].keys", "key", [key.key for key in group.keys])
        if group.group == TASK_STORE_SECRET:
            yield f"{PROJECT}:taskSecrets: the stack itself uses the name {TASK_STORE_SECRET!r}; choose another group"


def distinct(settings: Settings) -> list[TaskScope]:
    """Each project in each domain once; names that occur twice are a problem of their own."""
    return list({(scope.project, scope.domain): scope for scope in reversed(settings.task_scopes)}.values())[::-1]


def described(scope: TaskScope) -> str:
    """A task scope in a message."""
    return f"project {shown(scope.project)} in domain {shown(scope.domain)}"


def _repeated(setting: str, what: str, names: Sequence[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{PROJECT}:{setting}: {what} {shown(name)} is there {names.count(name)} times; keep one"

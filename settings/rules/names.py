"""Rules for the names of projects, domains, secrets and namespaces."""

from collections.abc import Iterator, Sequence

from settings.messages.commands import remove_command, set_command
from settings.messages.shown import shown
from settings.projects import TaskScope
from settings.secrets import TASK_STORE_SECRET
from settings.stack import FIELDS, PROJECT, Settings

# First part of the names of objects in Flyte's own bucket that belong to no project.
_OF_FLYTES_BUCKET = {"admin", "artifacts", "data", "metadata"}


def name_problems(settings: Settings) -> Iterator[str]:
    """Names that occur twice, that are reserved, or that Kubernetes rejects."""
    if not settings.projects:
        yield f"{PROJECT}:projects: names no project; write at least one, such as [{{name: remedy}}]"
    yield from _repeated("projects", "name", [project.name for project in settings.projects])
    yield from _repeated("logLinks.custom", "name", [link.name for link in settings.log_links.custom])
    for index, name in enumerate(project.name for project in settings.projects):
        if name in _OF_FLYTES_BUCKET:
            key = f"{PROJECT}:projects[{index}].name"
            yield (
                f"{key}: Flyte keeps its own data under the name {shown(name)} in its bucket, which the project could "
                f"then read; write another: {set_command(key, f'my-{name}')}"
            )
    yield from _egress_problems(settings)
    yield from _secret_name_problems(settings)
    yield from _existing_secret_problems(settings)


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
            remedy = "" if reach is settings.auth.egress else ", and write flyte: true if tasks need Flyte's API"
            key = f"{setting}.namespaces[{reach.namespaces.index(settings.namespace)}]"
            yield (
                f"{key}: {shown(settings.namespace)} is the namespace of the stack itself, whose servers are not for "
                f"others; leave it out{remedy}: {remove_command(key)}"
            )


def _secret_name_problems(settings: Settings) -> Iterator[str]:
    yield from _repeated("taskSecrets", "group", [group.group for group in settings.task_secrets])
    for index, group in enumerate(settings.task_secrets):
        place = f"{PROJECT}:taskSecrets[{index}]"
        yield from _repeated(f"taskSecrets[{index}].keys", "key", [key.key for key in group.keys])
        for number, key in enumerate(group.keys):
            if key.setting in FIELDS.keys() - {"tidalCreds"}:
                yield (
                    f"{place}.keys[{number}].setting: {key.setting!r} is a setting of the stack itself; choose another "
                    f"name: {set_command(f'{place}.keys[{number}].setting', 'spotifyCreds')}"
                )
        if group.group == TASK_STORE_SECRET:
            yield (
                f"{place}.group: the stack itself uses the name {TASK_STORE_SECRET!r}; choose another: "
                f"{set_command(f'{place}.group', 'tidal-creds')}"
            )


def _existing_secret_problems(settings: Settings) -> Iterator[str]:
    """Secrets that something else should create, although the stack itself does."""
    managed = settings.secret_manager.type == "K8s"
    for index, project in enumerate(settings.projects):
        own = {TASK_STORE_SECRET, *(project.task_secrets if managed else [])}
        for number, name in enumerate(project.existing_secrets):
            if name in own:
                place = f"{PROJECT}:projects[{index}].existingSecrets[{number}]"
                yield f"{place}: has no effect, because the stack creates this Secret; write {remove_command(place)}"


def distinct(settings: Settings) -> list[TaskScope]:
    """Each project in each domain once; names that occur twice are a problem of their own."""
    return list({(scope.project, scope.domain): scope for scope in reversed(settings.task_scopes)}.values())[::-1]


def described(scope: TaskScope) -> str:
    """A task scope in a message."""
    return f"project {shown(scope.project)} in domain {shown(scope.domain)}"


def renamed(setting: str, template: str) -> str:
    """What to write if a template makes an impossible name."""
    default = "{project}-{domain}"
    first = "rename a project or a domain, such as"
    command = set_command(f"{PROJECT}:projects[0].name", "remedy")
    return f"{first} {command}" + ("" if template == default else f", or write {set_command(setting, default)}")


def _repeated(setting: str, what: str, names: Sequence[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{PROJECT}:{setting}: {what} {shown(name)} is there {names.count(name)} times; keep one"

"""Rules for the names of projects, domains, secrets and namespaces."""

from collections.abc import Iterator, Sequence

from settings.projects import TaskScope, template_problem
from settings.secrets import TASK_STORE_SECRET
from settings.stack import FIELDS, PROJECT, Settings
from settings.values import check_label

# First part of the names of objects in Flyte's own bucket that belong to no project.
_OF_FLYTES_BUCKET = {"admin", "artifacts", "data", "metadata"}


def name_problems(settings: Settings) -> Iterator[str]:
    """Names that occur twice, that are reserved, or that Kubernetes rejects."""
    if not settings.projects:
        yield f"{PROJECT}:projects: names no project; write at least one, such as [{{name: remedy}}]"
    yield from _repeated("projects", "name", [project.name for project in settings.projects])
    for name in sorted({project.name for project in settings.projects} & _OF_FLYTES_BUCKET):
        yield (
            f"{PROJECT}:projects[{name}].name: Flyte keeps its own data under this name in its bucket, so that the "
            "project could read that of others; write another, such as my-" + name
        )
    yield from _repeated("domains", "id", settings.domains)
    # Each is mounted in a directory of its name.
    yield from _repeated("secretManager.globalSecrets", "name", settings.secret_manager.global_secrets)
    yield from _egress_problems(settings)
    yield from _secret_name_problems(settings)
    yield from _namespace_problems(settings)


def _egress_problems(settings: Settings) -> Iterator[str]:
    """Egress to the stack's own namespace, which would open the database and all ports of Flyte."""
    reaches = {f"{PROJECT}:tasks.egress": settings.tasks.egress, f"{PROJECT}:auth.egress": settings.auth.egress}
    reaches |= {
        f"{PROJECT}:projects[{project.name}].egress": project.egress for project in settings.projects if project.egress
    }
    for setting, reach in reaches.items():
        if settings.namespace in reach.namespaces:
            yield (
                f"{setting}.namespaces: {settings.namespace!r} is the namespace of the stack itself, whose servers are "
                "not for tasks; leave it out, and write flyte: true if tasks need Flyte's API"
            )


def _secret_name_problems(settings: Settings) -> Iterator[str]:
    for name in sorted({key.setting for group in settings.task_secrets for key in group.keys} & FIELDS.keys()):
        if name != "tidalCreds":
            yield f"{PROJECT}:taskSecrets: {name!r} is a setting of the stack itself; choose another name"
    yield from _repeated("taskSecrets", "group", [group.group for group in settings.task_secrets])
    for group in settings.task_secrets:
        yield from _repeated(f"taskSecrets[{group.group}].keys", "key", [key.key for key in group.keys])
        if group.group == TASK_STORE_SECRET:
            yield f"{PROJECT}:taskSecrets: the stack itself uses the name {TASK_STORE_SECRET!r}; choose another group"


def _namespace_problems(settings: Settings) -> Iterator[str]:
    if problem := template_problem(settings.namespace_template):
        yield f"{PROJECT}:namespaceTemplate: {problem}; write it like 103020-{{project}}-{{domain}}"
        return
    owners = {settings.namespace: f"{PROJECT}:namespace"}
    remedy = "rename a project or a domain, or change flyte-home:namespaceTemplate"
    if _is_of_kubernetes(settings.namespace):
        yield f"{PROJECT}:namespace: {settings.namespace!r} belongs to Kubernetes itself; write another, such as flyte"
    for scope in distinct(settings):
        who, name = described(scope), scope.namespace
        if name in owners:
            yield f"{PROJECT}:namespaceTemplate: {who} and {owners[name]} both get {name!r}; {remedy}"
        elif _is_of_kubernetes(name):
            yield f"{PROJECT}:namespaceTemplate: {who} gets {name!r}, a name of Kubernetes itself; {remedy}"
        elif len(name) > 63:
            yield (
                f"{PROJECT}:namespaceTemplate: {who} gets {name!r}, which has {len(name)} characters; "
                f"Kubernetes allows 63: {remedy}"
            )
        else:
            try:
                check_label(name)
            except ValueError as error:
                yield f"{PROJECT}:namespaceTemplate: {who} gets {name!r}, which {error}"
        owners.setdefault(name, who)


def distinct(settings: Settings) -> list[TaskScope]:
    """Each project in each domain once; names that occur twice are a problem of their own."""
    return list({(scope.project, scope.domain): scope for scope in reversed(settings.task_scopes)}.values())[::-1]


def described(scope: TaskScope) -> str:
    """A task scope in a message."""
    return f"project {scope.project!r} in domain {scope.domain!r}"


def _is_of_kubernetes(namespace: str) -> bool:
    return namespace == "default" or namespace.startswith("kube-")


def _repeated(setting: str, what: str, names: Sequence[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{PROJECT}:{setting}: {what} {name!r} is there {names.count(name)} times; keep one"

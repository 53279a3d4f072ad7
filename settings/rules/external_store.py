"""Rules for an object store that the stack uses but does not run."""

from collections.abc import Iterator

from settings.endpoints import ClientEndpoints
from settings.external_store import AWS, BACKUP_KEY, KEY_FORMAT, STORE_KEY, ExternalKey, ExternalStore, read_key
from settings.messages.commands import remove_command, set_command
from settings.projects import template_problem
from settings.stack import PROJECT, Settings

_KEY = f"{PROJECT}:minio.external"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def external_store_problems(settings: Settings) -> Iterator[str]:
    """An external store without what opens it, and settings that have no effect on it."""
    external, mode = settings.minio.external, settings.minio.mode
    given = sorted(name for name in settings.secret_values if name.split("-")[0] == STORE_KEY)
    if mode == "bundled":
        # Together with external they may be there already: moving to that store needs them.
        if given and external == ExternalStore():
            yield (
                f"{PROJECT}:{given[0]}: has no effect, because {PROJECT}:minio.external is empty; write that, or "
                f"pulumi config rm {PROJECT}:{given[0]}"
            )
        if settings.minio.keep_volume:
            yield (
                f"{PROJECT}:minio.keepVolume: has no effect with the bundled server, whose volume stays anyway; write "
                f"{remove_command(f'{PROJECT}:minio.keepVolume')}"
            )
        return
    if not external.endpoint:
        key = f"{_KEY}.endpoint"
        yield (
            f"{key}: is empty, but {PROJECT}:minio.mode is 'external'; write "
            f"{set_command(key, 'https://s3.home.example:9000')}, or aws"
        )
    yield from _endpoint_problems(settings)
    yield from _without_effect(settings)
    yield from _iam_problems(settings, given) if external.auth == "iam" else _key_problems(settings)


def _endpoint_problems(settings: Settings) -> Iterator[str]:
    external, key = settings.minio.external, f"{_KEY}.endpoint"
    if external.host in _LOOPBACK:
        yield (
            f"{key}: {external.endpoint!r} is the pod itself for every pod; write the address at which the cluster "
            f"reaches the store: {set_command(key, 'http://192.168.1.20:9000')}"
        )
    own = {"minio", *(f"minio.{settings.namespace}{end}" for end in ("", ".svc", ".svc.cluster.local"))}
    if external.host in own:
        yield (
            f"{key}: {external.endpoint!r} is the stack's own server, which {PROJECT}:minio.mode 'external' replaces; "
            f"write another, or {set_command(f'{PROJECT}:minio.mode', 'bundled')}"
        )
    if external.certificate_authority and not external.address.startswith("https://"):
        yield (
            f"{_KEY}.certificateAuthority: has no effect, because {external.endpoint!r} has no TLS; write https:// "
            f"there, or {remove_command(f'{_KEY}.certificateAuthority')}"
        )
    if external.networks and (external.ip_network or external.service_namespace):
        yield (
            f"{_KEY}.networks: has no effect, because the network policies name {external.host!r} itself; write "
            f"{remove_command(f'{_KEY}.networks')}"
        )
    if external.service_namespace and not external.client_endpoint:
        yield (
            f"{_KEY}.clientEndpoint: is empty, but laptops do not reach {external.host!r}, the name of a Service; "
            f"write the address for which uploads are signed: "
            f"{set_command(f'{_KEY}.clientEndpoint', 'https://s3.home.example')}"
        )


def _without_effect(settings: Settings) -> Iterator[str]:
    """Settings that only the bundled server obeys, or whose place is taken."""
    where = f"{PROJECT}:minio.mode is 'external'"
    if settings.client_endpoints.object_store != ClientEndpoints().object_store:
        key = f"{PROJECT}:clientEndpoints.objectStore"
        yield f"{key}: has no effect, because {where}; write {_KEY}.clientEndpoint, and {remove_command(key)}"
    if settings.ingress.hosts.object_store:
        key = f"{PROJECT}:ingress.hosts.objectStore"
        yield (
            f"{key}: has no effect, because {where}, and the ingress leads only to servers of the stack; write "
            f"{remove_command(key)}"
        )
    quotas = {f"{PROJECT}:minio.bucketQuota": settings.minio.bucket_quota}
    quotas |= {
        f"{PROJECT}:projects[{index}].bucketQuota": project.bucket_quota
        for index, project in enumerate(settings.projects)
    }
    for key, quota in quotas.items():
        if quota:
            yield f"{key}: has no effect, because {where}; set the quota in the store, and write {remove_command(key)}"
    if settings.retention.objects:
        key = f"{PROJECT}:retention.objects"
        yield (
            f"{key}: has no effect, because {where}; give the buckets a lifecycle in the store (docs/outgrowing.md has "
            f"the rules), and write {remove_command(key)}"
        )


def _key_problems(settings: Settings) -> Iterator[str]:
    external = settings.minio.external
    for name in ("flyteAnnotations", "taskAnnotations"):
        if (external.flyte_annotations, external.task_annotations)[name == "taskAnnotations"]:
            yield (
                f"{_KEY}.{name}: has no effect, because {_KEY}.auth is 'keys'; write "
                f"{remove_command(f'{_KEY}.{name}')}, or {set_command(f'{_KEY}.auth', 'iam')}"
            )
    owners: dict[str, str] = {}
    for name in (STORE_KEY, *settings.store_key_settings.values(), BACKUP_KEY):
        value = settings.secret_values.get(name)
        if not value:
            yield from _missing_key(settings, name)
            continue
        try:
            key: ExternalKey = read_key(value.get_secret_value())
        except ValueError as error:
            yield f"{PROJECT}:{name}: {error}: pulumi config set --secret {PROJECT}:{name} < key.json"
            continue
        if key.access_key in owners and not external.shared_key:
            yield (
                f"{PROJECT}:{name}: has the access key of {PROJECT}:{owners[key.access_key]}, so that each could use "
                f"the data of the other; write another key, or {set_command(f'{_KEY}.sharedKey', True)}"
            )
        owners.setdefault(key.access_key, name)


def _missing_key(settings: Settings, name: str) -> Iterator[str]:
    command = f"pulumi config set --secret {PROJECT}:{name} < key.json"
    if name == STORE_KEY:
        yield f"{PROJECT}:{name}: is missing or empty; write Flyte's key of the store, {KEY_FORMAT}: {command}"
    elif name != BACKUP_KEY and not settings.minio.external.shared_key:
        yield (
            f"{PROJECT}:{name}: is missing or empty; write the key of these tasks: {command}; or, if the store has "
            f"only one key, {set_command(f'{_KEY}.sharedKey', True)}"
        )


def _iam_problems(settings: Settings, given: list[str]) -> Iterator[str]:
    external = settings.minio.external
    if external.endpoint != AWS:
        yield (
            f"{_KEY}.auth: 'iam' is for AWS, but {_KEY}.endpoint is {external.endpoint!r}; write "
            f"{set_command(f'{_KEY}.auth', 'keys')}"
        )
    if external.shared_key:
        key = f"{_KEY}.sharedKey"
        yield f"{key}: has no effect, because {_KEY}.auth is 'iam', which has no keys; write {remove_command(key)}"
    for name in given:
        if name != BACKUP_KEY:
            yield (
                f"{PROJECT}:{name}: has no effect, because {_KEY}.auth is 'iam'; write pulumi config rm "
                f"{PROJECT}:{name}"
            )
    if settings.backup.target and BACKUP_KEY not in given:
        yield (
            f"{PROJECT}:{BACKUP_KEY}: is missing or empty, but the backup needs a key, because its pods have no role; "
            f"write pulumi config set --secret {PROJECT}:{BACKUP_KEY} < key.json"
        )
    for part, annotations in (("flyte", external.flyte_annotations), ("task", external.task_annotations)):
        role = "arn:aws:iam::123456789012:role/flyte" + ("-{project}-{domain}" if part == "task" else "")
        key = f"{_KEY}.{part}Annotations"
        if not annotations:
            command = set_command(f'{key}["eks.amazonaws.com/role-arn"]', role)
            yield f"{key}: is empty, but {_KEY}.auth is 'iam'; write the role: {command}"
        for text in annotations.values() if part == "task" else ():
            if problem := template_problem(text):
                yield f"{key}: {problem}; write it like {role}"


def external_store_warnings(settings: Settings) -> Iterator[str]:
    """What an external store does not isolate."""
    external = settings.minio.external
    if settings.minio.mode != "external" or external.auth == "iam":
        return
    sharing = [
        namespace for namespace, name in settings.store_key_settings.items() if name not in settings.secret_values
    ]
    if sharing:
        yield (
            f"{_KEY}.sharedKey: the tasks in {', '.join(sharing)} have Flyte's own key of the object store, so each of "
            "them can read, change and delete the data of all projects, and what Flyte stores itself"
        )
    if external.address.startswith("http://") and not external.service_namespace:
        yield (
            f"{_KEY}.endpoint: {external.endpoint!r} has no TLS, so that everyone on the way to the store can read the "
            "data of all projects; keys are not sent"
        )

"""Rules for the database of another server than the bundled one."""

from collections.abc import Iterator

from settings.messages.commands import remove_command, set_command
from settings.messages.shown import shown
from settings.postgres_external import ExternalPostgres
from settings.stack import PROJECT, Settings

_MODE, _KEY, _PASSWORD = f"{PROJECT}:postgres.mode", f"{PROJECT}:postgres.external", f"{PROJECT}:postgresPassword"


def database_problems(settings: Settings) -> Iterator[str]:
    """A server that is not described well enough to reach it, and descriptions that have no effect."""
    external = settings.postgres.external
    if settings.postgres.mode != "external":
        if external != ExternalPostgres():
            yield (
                f"{_KEY}: has no effect, because {_MODE} is {settings.postgres.mode!r}; write "
                f"{set_command(_MODE, 'external')}, or leave it out: {remove_command(_KEY)}"
            )
        return
    yield from _host_problems(settings)
    yield from _tls_problems(external)
    given, secret = bool(settings.postgres_password.get_secret_value()), external.existing_secret
    if given and secret.name:
        yield (
            f"{_KEY}.existingSecret.name: is {shown(secret.name)}, but {_PASSWORD} gives the password as well; leave "
            f"one of them out: {remove_command(f'{_KEY}.existingSecret')}, or {remove_command(_PASSWORD)}"
        )
    if not given and not secret.name:
        yield (
            f"{_PASSWORD}: is missing or empty, but {_MODE} is 'external'; write the password of the role "
            f"{external.username}: pulumi config set --secret {_PASSWORD}; or name a Secret: "
            f"{set_command(f'{_KEY}.existingSecret.name', 'flyte-database')}"
        )
    own = [settings.namespace, settings.drill_namespace, *(scope.namespace for scope in settings.task_scopes)]
    if secret.name and secret.namespace in own:
        key = f"{_KEY}.existingSecret.namespace"
        yield (
            f"{key}: {shown(secret.namespace)} is a namespace that the stack itself creates, so that the Secret cannot "
            f"be there before; write {set_command(key, 'default')}"
        )


def database_warnings(settings: Settings) -> Iterator[str]:
    """A connection that others can read, or answer."""
    external = settings.postgres.external
    if settings.postgres.mode != "external":
        return
    if external.tls.mode == "disable" and not external.service_namespace:
        yield f"{_KEY}.tls.mode is disable: everyone between the cluster and {external.host} can read the connection"
    if external.tls.mode == "require":
        yield (
            f"{_KEY}.tls.mode is require, which checks no certificate: any server that answers at {external.host} gets "
            "the password; write verify-full"
        )


def _host_problems(settings: Settings) -> Iterator[str]:
    external, remedy = settings.postgres.external, set_command(f"{_KEY}.host", "db.home.example")
    if not external.host:
        yield f"{_KEY}.host: is empty, but {_MODE} is 'external'; write {remedy}"
    own = {"localhost", "127.0.0.1", "postgres", f"postgres.{settings.namespace}"}
    if external.host in own or external.service_namespace == settings.namespace:
        yield (
            f"{_KEY}.host: {shown(external.host)} is in the pods or the namespace of the stack itself, where no other "
            f"server is; write the name or the address of the server: {remedy}"
        )
    if external.networks and (external.address or external.service_namespace):
        yield (
            f"{_KEY}.networks: has no effect, because {_KEY}.host already says where the server is; leave it out: "
            f"{remove_command(f'{_KEY}.networks')}"
        )


def _tls_problems(external: ExternalPostgres) -> Iterator[str]:
    key, tls = f"{_KEY}.tls", external.tls
    verifies = tls.mode in {"verify-full", "verify-ca"}
    if verifies and not tls.certificate_authority:
        yield (
            f"{key}.certificateAuthority: is empty, but {key}.mode {tls.mode!r} checks the server's certificate; write "
            f"the certificate of the authority that signed it: pulumi config set --path {key}.certificateAuthority "
            "< ca.pem"
        )
    if tls.certificate_authority and not verifies:
        yield (
            f"{key}.certificateAuthority: has no effect, because {key}.mode is {tls.mode!r}; write "
            f"{set_command(f'{key}.mode', 'verify-full')}, or {remove_command(f'{key}.certificateAuthority')}"
        )

"""Flyte's database on a server that the stack does not run."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from components.database.database import AUTHORITY, PASSWORD, Database
from components.database.names import CREDENTIALS
from components.database.postgres import PostgresArgs
from components.pods import labels
from settings.errors import SettingsError
from settings.postgres_external import ExistingSecret
from settings.stack import PROJECT

# What Flyte's connection string can carry.
_PASSWORD = re.compile(r"[!#-&(-\[\]-~]+")


class ExternalPostgres(pulumi.ComponentResource):
    """The password and the authority of a server outside the stack, in a Secret. It creates nothing on the server.

    Whether the server can be reached, and has what Flyte needs, is checked by ``make up`` before anything is changed
    (`ops.lib.database_check`).
    """

    database: Database
    """The database for Flyte."""

    def __init__(self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:ExternalPostgres", name, None, opts)
        platform, server = args.platform, args.settings.external
        password = (
            pulumi.Output.secret(args.password)
            if args.password
            else _existing_password(f"{name}-existing", server.existing_secret, self)
        )
        authority = server.tls.certificate_authority
        credentials = k8s.core.v1.Secret(
            f"{name}-credentials",
            metadata={"namespace": platform.namespace, "labels": labels(CREDENTIALS)},
            # Named by Pulumi: another password or authority means another name, which restarts what uses them.
            immutable=True,
            string_data={PASSWORD: password, **({AUTHORITY: authority} if authority else {})},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.database = Database(
            server.host,
            server.port,
            server.database,
            server.username,
            password,
            credentials.metadata.name,
            args.settings.max_connections,
            superuser=False,
            tls=server.tls.mode,
            authority=credentials.metadata.name if authority else None,
        )
        self.register_outputs(self.database.outputs)


def _existing_password(name: str, secret: ExistingSecret, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Password in a Secret that the stack does not manage. It is read at every update."""
    found = k8s.core.v1.Secret.get(
        name, f"{secret.namespace}/{secret.name}", opts=pulumi.ResourceOptions(parent=parent)
    )
    return pulumi.Output.secret(found.data.apply(lambda data: password_of(data, secret)))


def password_of(data: Mapping[str, str] | None, secret: ExistingSecret) -> str:
    """The password in the encoded ``data`` of an existing Secret, without a line break at its end.

    Raises:
        SettingsError: it is not there, or Flyte cannot use it.
    """
    where = f"{PROJECT}:postgres.external.existingSecret"
    if not data or secret.key not in data:
        raise SettingsError(
            f"{where}.key: the Secret {secret.name} in {secret.namespace} has no key {secret.key!r}; write one of "
            f"{', '.join(sorted(data or {})) or 'its keys'}"
        )
    password = base64.b64decode(data[secret.key]).decode(errors="replace").rstrip("\r\n")
    if not _PASSWORD.fullmatch(password):
        raise SettingsError(
            f"{where}: the password in {secret.name} is empty, or has a space, a quote, a backslash or a character "
            "that is not ASCII, which Flyte's connection string cannot carry; change it"
        )
    return password

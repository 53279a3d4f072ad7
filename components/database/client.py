"""How a script in a pod reaches the database as the role that owns it."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from components.database.database import AUTHORITY, PASSWORD, Database
from paths import ROOT


def connect_script() -> dict[str, str]:
    """The script that others source, by its file name, to be mounted beside them."""
    return {"connect.sh": (ROOT / "scripts" / "database" / "connect.sh").read_text()}


def connection(database: Database, credentials: str, scripts: str) -> dict[str, pulumi.Input[str]]:
    """Environment variables of a script that sources connect.sh.

    Args:
        database: the database.
        credentials: directory of the mounted volume, see `credentials_volume`.
        scripts: directory of the mounted scripts.
    """
    return {
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGDATABASE": database.name,
        "PGUSER": database.username,
        **tls_variables(database, credentials),
        "CREDENTIALS": credentials,
        "SCRIPTS": scripts,
        "HOME": "/tmp",  # noqa: S108 (psql writes nothing there)
    }


def tls_variables(database: Database, folder: str) -> dict[str, pulumi.Input[str]]:
    """Environment variables that make libpq check the server; none for the bundled one, which is in the same namespace.

    Args:
        database: the database.
        folder: directory with the certificate of the server's authority.
    """
    if database.tls == "disable" and database.superuser:
        return {}
    variables: dict[str, pulumi.Input[str]] = {"PGSSLMODE": database.tls}
    if database.authority is not None:
        variables["PGSSLROOTCERT"] = f"{folder}/{AUTHORITY}"
    return variables


def credentials_volume(
    name: str, database: Database, files: Mapping[str, str] | None = None
) -> k8s.core.v1.VolumeArgsDict:
    """A volume with the password of the role, and with the certificate of the server's authority if there is one.

    Args:
        name: name of the volume.
        database: the database.
        files: names of the files by the keys of the Secret; by default that of the password.
    """
    items = [_item(key, path) for key, path in (files or {PASSWORD: PASSWORD}).items()]
    if database.authority is None:
        return {"name": name, "secret": {"secret_name": database.credentials, "default_mode": 0o440, "items": items}}
    secret: k8s.core.v1.SecretProjectionArgsDict = {"name": database.credentials, "items": items}
    authority: k8s.core.v1.SecretProjectionArgsDict = {
        "name": database.authority,
        "items": [_item(AUTHORITY, AUTHORITY)],
    }
    sources: list[k8s.core.v1.VolumeProjectionArgsDict] = [{"secret": secret}, {"secret": authority}]
    return {"name": name, "projected": {"default_mode": 0o440, "sources": sources}}


def _item(key: str, path: str) -> k8s.core.v1.KeyToPathArgsDict:
    return {"key": key, "path": path}

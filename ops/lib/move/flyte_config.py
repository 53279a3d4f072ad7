"""Which database and which object store Flyte uses, read from its own configuration in the cluster.

That is the same for every mode of them, and it is what Flyte opens when it is started, whatever an interrupted update
has left in Pulumi's state.
"""

import base64
import configparser
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from components.database import AUTHORITY
from components.flyte.names import RELEASE
from components.flyte.storage import STORE_KEY
from components.object_store import AUTHORITY_FILE
from ops.lib.kubectl import Cluster
from ops.lib.workloads import Object
from settings.errors import SettingsError
from settings.merge import merged

_CONFIG = "config"  # the volume of the chart


@dataclass(frozen=True)
class DatabaseLogin:
    """A database, and the role that owns it, as a pod reaches them."""

    host: str
    port: int
    database: str
    username: str
    tls: str
    """Mode of TLS, in the words of libpq."""
    password: str = field(repr=False)
    authority: str = ""
    """Certificate in PEM of the server's authority; empty: none is known."""

    @property
    def place(self) -> tuple[str, int, str]:
        """What tells one database from another."""
        return self.host, self.port, self.database

    def __str__(self) -> str:
        return f"{self.database} at {self.host}"


@dataclass(frozen=True)
class StoreLogin:
    """An object store, and a user that may read and write every bucket of the stack, as a pod reaches them."""

    endpoint: str
    bucket: str
    """Flyte's own bucket."""
    access_key: str
    """Name of the user; empty: a role of AWS opens the store."""
    secret_key: str = field(repr=False)
    region: str = ""
    authority: str = ""
    """Certificate in PEM of a private authority; empty: there is none."""

    def __str__(self) -> str:
        return self.endpoint


@dataclass(frozen=True)
class FlyteInCluster:
    """Flyte's Deployment, and its configuration."""

    deployment: Object
    database: DatabaseLogin
    store: StoreLogin

    @property
    def pull_secrets(self) -> list[Object]:
        """The Secrets with which the cluster pulls images, as a pod names them."""
        found: list[Object] = self.deployment["spec"]["template"]["spec"].get("imagePullSecrets", [])
        return found


def flyte_in_cluster(cluster: Cluster, namespace: str) -> FlyteInCluster:
    """Return Flyte as it is deployed.

    Raises:
        SettingsError: the cluster does not answer, or there is no Flyte.
    """
    where = f"--namespace={namespace}"
    answer = cluster.ask("get", "deployment", RELEASE, where, "--ignore-not-found", "--output=json")
    if not answer.strip():
        raise SettingsError("Flyte is not deployed, so there is nothing to move; run make up first")
    deployment = json.loads(answer)
    volumes = {one["name"]: one for one in deployment["spec"]["template"]["spec"].get("volumes", [])}
    files: dict[str, str] = {}
    for source in volumes[_CONFIG]["projected"]["sources"]:
        for kind in ("configMap", "secret"):
            if kind in source:
                files |= _content(cluster, kind, source[kind]["name"], namespace)
    configuration: Mapping[str, Any] = {}
    # In this order, Flyte reads them.
    for name in sorted(name for name in files if name.endswith(".yaml")):
        configuration = merged(configuration, yaml.safe_load(files[name]) or {})
    return FlyteInCluster(
        deployment,
        _database(configuration["database"]["postgres"], _trust(cluster, namespace, volumes, AUTHORITY, "database-")),
        _store(
            configuration["storage"],
            files.get(STORE_KEY, ""),
            _trust(cluster, namespace, volumes, AUTHORITY_FILE, "store-"),
        ),
    )


def _database(found: Mapping[str, Any], authority: str) -> DatabaseLogin:
    mode = re.search(r"sslmode=(\S+)", str(found.get("options", "")))
    return DatabaseLogin(
        str(found["host"]),
        int(found["port"]),
        str(found["dbname"]),
        str(found["username"]),
        mode[1] if mode else "prefer",
        str(found.get("password", "")),
        authority,
    )


def _store(found: Mapping[str, Any], key_file: str, authority: str) -> StoreLogin:
    """Return the login that a part of Flyte's configuration describes, with the key in a file for AWS' library."""
    config = found["stow"]["config"]
    # Without interpolation, because a key may contain a percent sign.
    key = configparser.ConfigParser(interpolation=None)
    key.read_string(key_file)
    profile = dict(key["default"]) if key.has_section("default") else {}
    region = str(config.get("region", ""))
    return StoreLogin(
        str(config.get("endpoint") or f"https://s3.{region}.amazonaws.com"),
        str(found["container"]),
        profile.get("aws_access_key_id", ""),
        profile.get("aws_secret_access_key", ""),
        region,
        authority,
    )


def _trust(cluster: Cluster, namespace: str, volumes: Mapping[str, Object], key: str, prefix: str) -> str:
    """Return the certificate that a volume of Flyte's pod has; empty if there is no such volume."""
    for name, volume in volumes.items():
        for kind, reference in (("secret", "secretName"), ("configMap", "name")):
            items = volume.get(kind, {}).get("items", [])
            if name.startswith(prefix) and any(item["key"] == key for item in items):
                return _content(cluster, kind, volume[kind][reference], namespace).get(key, "")
    return ""


def _content(cluster: Cluster, kind: str, name: str, namespace: str) -> dict[str, str]:
    """Return the texts of a ConfigMap or a Secret.

    Raises:
        SettingsError: it is not there.
    """
    found = json.loads(cluster.ask("get", kind.lower(), name, f"--namespace={namespace}", "--output=json"))
    return dict(_decoded(found)) if kind == "secret" else found.get("data", {})


def _decoded(secret: Object) -> Iterator[tuple[str, str]]:
    for key, value in (secret.get("data") or {}).items():
        yield key, base64.b64decode(value).decode()

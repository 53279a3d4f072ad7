"""A database and an object store in namespaces of their own, as on other machines of the home."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import trustme

from settings.images import images
from tests.engine.conftest import Cluster, kubectl
from tests.processes import wait_until

STORE, DATABASE = "flyte-home-test-outside", "flyte-home-test-database"
"""Namespaces of the store and of the database."""
REGION = "eu-home"
HOST = f"nas.{STORE}.svc"
"""Name of the store; it listens on port 9000."""
ROOT_USER, ROOT_PASSWORD = "planted-root", "plantedRootPassword1"
_SUPERUSER = "plantedSuperuserPassword1"
# User of the official image, to whose group the files of the volume belong.
_POSTGRES = 999


@contextmanager
def outside_store(cluster: Cluster, users: Sequence[str], buckets: Sequence[str]) -> Iterator[str]:
    """An S3 store with TLS, a region, these buckets, and these users, whose keys are those of `tests.external_store`.

    Yields the certificate of its authority.
    """
    authority = trustme.CA()
    chosen = images(cluster.settings.get("images", {}))
    variables = {"MINIO_ROOT_USER": ROOT_USER, "MINIO_ROOT_PASSWORD": ROOT_PASSWORD, "MINIO_SITE_REGION": REGION}
    server = {
        "name": "nas",
        "image": chosen["minio"].reference,
        "imagePullPolicy": "IfNotPresent",
        "args": ["server", "/data", "--certs-dir", "/certs"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": [{"name": "certs", "mountPath": "/certs"}],
    }
    steps = ["until mc --insecure ls t; do sleep 1; done", *(f"mc --insecure mb t/{bucket}" for bucket in buckets)]
    for user in users:
        steps.append(f"mc --insecure admin user add t planted-access-{user} planted-secret-key-of-{user}")
        steps.append(f"mc --insecure admin policy attach t readwrite --user planted-access-{user}")
    files = {**_pair(authority, HOST, "public.crt", "private.key"), "users.sh": "\n".join(["set -e", *steps, ""])}
    alias = f"https://{ROOT_USER}:{ROOT_PASSWORD}@nas:9000"
    client = {
        "name": "client",
        "image": chosen["mc"].reference,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "/certs/users.sh"],
        "env": [{"name": "MC_HOST_t", "value": alias}, {"name": "MC_REGION", "value": REGION}],
        "volumeMounts": [{"name": "certs", "mountPath": "/certs"}],
    }
    volumes = [{"name": "certs", "secret": {"secretName": "nas"}}]
    objects = [
        *_service(STORE, "nas", 9000, files),
        _pod(STORE, "nas", {"containers": [server], "volumes": volumes}),
        _pod(STORE, "client", {"restartPolicy": "Never", "containers": [client], "volumes": volumes}),
    ]
    phase = ["get", "pod", "client", f"--namespace={STORE}", "--output=jsonpath={.status.phase}"]
    with _created(cluster, STORE, objects):
        wait_until(lambda: kubectl(cluster.kubeconfig, *phase) == "Succeeded", "the users of the store", 120)
        yield authority.cert_pem.bytes().decode()


@dataclass(frozen=True)
class OutsideDatabase:
    """A PostgreSQL server with TLS, and a database ``flyte`` of the role ``flyte``."""

    cluster: Cluster
    authority: str
    """Certificate of its authority."""

    @property
    def settings(self) -> dict[str, Any]:
        """The setting ``postgres`` of a stack that uses it."""
        server = {"host": f"postgres.{DATABASE}.svc", "tls": {"certificateAuthority": self.authority}}
        return {"mode": "external", "external": server}

    def sql(self, statements: str, database: str = "postgres") -> str:
        """The output of statements of the superuser."""
        psql = ["psql", "--username=postgres", f"--dbname={database}", "-XqAt", "--set=ON_ERROR_STOP=1"]
        pod = ["exec", "--stdin", "postgres", f"--namespace={DATABASE}", "--"]
        return kubectl(self.cluster.kubeconfig, *pod, *psql, given=statements).strip()

    def set_password(self, password: str) -> None:
        """Give the role another password, as the owner of the server does."""
        self.sql(f"ALTER ROLE flyte PASSWORD '{password}'")


@contextmanager
def outside_database(cluster: Cluster, password: str) -> Iterator[OutsideDatabase]:
    """A server whose role ``flyte`` has this password."""
    authority = trustme.CA()
    host = f"postgres.{DATABASE}.svc"
    container = {
        "name": "postgres",
        "image": images(cluster.settings.get("images", {}))["postgres"].reference,
        "imagePullPolicy": "IfNotPresent",
        "args": ["postgres", *("-c", "ssl=on"), *("-c", "ssl_cert_file=/tls/crt"), *("-c", "ssl_key_file=/tls/key")],
        "env": [
            {"name": "POSTGRES_PASSWORD", "value": _SUPERUSER},
            {"name": "POSTGRES_INITDB_ARGS", "value": "--encoding=UTF8"},
            {"name": "PGDATA", "value": "/data/pgdata"},
        ],
        "volumeMounts": [
            {"name": "tls", "mountPath": "/tls"},
            {"name": "data", "mountPath": "/data"},
            {"name": "data", "mountPath": "/var/run/postgresql", "subPath": "run"},
        ],
        # The server that prepares the first start listens on its socket only.
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1},
    }
    spec = {
        "securityContext": {"runAsUser": _POSTGRES, "runAsGroup": _POSTGRES, "fsGroup": _POSTGRES},
        "containers": [container],
        "volumes": [
            {"name": "tls", "secret": {"secretName": "postgres", "defaultMode": 0o640}},
            {"name": "data", "emptyDir": {}},
        ],
    }
    objects = [*_service(DATABASE, "postgres", 5432, _pair(authority, host, "crt", "key"))]
    objects.append(_pod(DATABASE, "postgres", spec))
    with _created(cluster, DATABASE, objects):
        wait = ["wait", "pod/postgres", f"--namespace={DATABASE}", "--for=condition=Ready", "--timeout=120s"]
        kubectl(cluster.kubeconfig, *wait, seconds=130)
        found = OutsideDatabase(cluster, authority.cert_pem.bytes().decode())
        found.sql(f"CREATE ROLE flyte LOGIN PASSWORD '{password}'")
        found.sql("CREATE DATABASE flyte OWNER flyte TEMPLATE template0 ENCODING 'UTF8'")
        yield found


@contextmanager
def _created(cluster: Cluster, namespace: str, objects: list[dict[str, Any]]) -> Iterator[None]:
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl(cluster.kubeconfig, "apply", "--filename=-", given=given)
    try:
        yield
    finally:
        kubectl(cluster.kubeconfig, "delete", "namespace", namespace)


def _pair(authority: trustme.CA, host: str, certificate: str, key: str) -> dict[str, str]:
    """A certificate for a host and its key, under these names of files."""
    issued = authority.issue_cert(host)
    chain = "".join(one.bytes().decode() for one in issued.cert_chain_pems)
    return {certificate: chain, key: issued.private_key_pem.bytes().decode()}


def _service(namespace: str, name: str, port: int, files: dict[str, str]) -> list[dict[str, Any]]:
    """The namespace, a Secret with files, and a Service."""
    metadata = {"name": name, "namespace": namespace}
    spec = {"selector": {"app": name}, "ports": [{"port": port}]}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": files},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec},
    ]


def _pod(namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

"""Where restores are rehearsed: a namespace with a quota, and servers that live as long as the pod of a rehearsal."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.backup import names
from components.pods import (
    LABELS,
    Platform,
    container_security,
    namespace_labels,
    resources,
)
from settings.backup import BackupSettings
from settings.quantities import quantity

_CONTAINERS = 3  # of one pod that run at the same time: two servers and a step


def drill_namespace(
    name: str, namespace: str, platform: Platform, settings: BackupSettings, parent: pulumi.Resource
) -> k8s.core.v1.Namespace:
    """A namespace in which nothing runs but the pods of a rehearsal, of which two fit into its quota."""
    created = k8s.core.v1.Namespace(
        name,
        metadata={"name": namespace, "labels": namespace_labels("restricted")},
        opts=pulumi.ResourceOptions(parent=parent, provider=platform.cluster_provider),
    )
    amounts = settings.resources
    limit = 2 * _CONTAINERS
    hard = {
        "pods": "2",
        "limits.cpu": str(limit * quantity(amounts.limits.cpu)),
        "limits.memory": str(limit * int(quantity(amounts.limits.memory))),
        "persistentvolumeclaims": "2",
        "requests.storage": str(2 * int(quantity(settings.volume.size))),
    }
    k8s.core.v1.ResourceQuota(
        name,
        metadata={"name": names.DRILL, "namespace": created.metadata.name, "labels": LABELS},
        spec={"hard": hard},
        opts=pulumi.ResourceOptions(parent=parent, deleted_with=created),
    )
    return created


def drill_servers(
    platform: Platform, settings: BackupSettings, secret: pulumi.Input[str]
) -> list[k8s.core.v1.ContainerArgsDict]:
    """A database and an object store, empty, which only the containers of the same pod can log in to.

    They are sidecars: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """

    def given(variable: str, key: str) -> k8s.core.v1.EnvVarArgsDict:
        return {"name": variable, "value_from": {"secret_key_ref": {"name": secret, "key": key}}}

    temporary: k8s.core.v1.VolumeMountArgsDict = {"name": "tmp", "mount_path": "/tmp"}  # noqa: S108 (a volume of the pod)
    postgres: k8s.core.v1.ContainerArgsDict = {
        "name": "drill-postgres",
        "image": platform.images["postgres"].reference,
        "image_pull_policy": "IfNotPresent",
        "restart_policy": "Always",
        "args": ["postgres", "-c", "unix_socket_directories=/tmp", "-c", "listen_addresses=127.0.0.1"],
        "env": [
            {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
            {"name": "PGHOST", "value": "/tmp"},  # noqa: S108 (where the entrypoint's own clients find the socket)
            given("POSTGRES_PASSWORD", "superuser-password"),
            {"name": "POSTGRES_INITDB_ARGS", "value": "--data-checksums --encoding=UTF8 --auth-host=scram-sha-256"},
        ],
        "resources": resources(settings.resources),
        "security_context": container_security(),
        "startup_probe": {
            "exec_": {"command": ["pg_isready", "-q", "-h", "127.0.0.1"]},
            "period_seconds": 1,
            "timeout_seconds": 5,
            "failure_threshold": 300,
        },
        "volume_mounts": [
            {"name": "work", "mount_path": "/var/lib/postgresql/data", "sub_path": "postgres"},
            temporary,
        ],
    }
    minio: k8s.core.v1.ContainerArgsDict = {
        "name": "drill-minio",
        "image": platform.images["minio"].reference,
        "image_pull_policy": "IfNotPresent",
        "restart_policy": "Always",
        "args": ["server", "/data", "--address", "127.0.0.1:9000"],
        "env": [
            given("MINIO_ROOT_USER", "root-user"),
            given("MINIO_ROOT_PASSWORD", "root-password"),
            {"name": "MINIO_BROWSER", "value": "off"},
            {"name": "MINIO_UPDATE", "value": "off"},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 (a volume of the pod)
        ],
        "resources": resources(settings.resources),
        "security_context": container_security(),
        "volume_mounts": [{"name": "work", "mount_path": "/data", "sub_path": "minio"}, temporary],
    }
    return [postgres, minio]

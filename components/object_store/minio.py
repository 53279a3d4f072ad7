"""The object store: a MinIO-compatible server in one pod, with a bucket and a user for each task scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.object_store.archives import (
    flyte_archives,
    flyte_policy_names,
    monitor_archives,
    reader_archives,
    task_archives,
)
from components.object_store.object_store import ObjectStore, StoreCredentials, StoreForBackup, StoreKey
from components.object_store.users import (
    RetiredUsers,
    RetiredUsersArgs,
    StoreAdministration,
    administering_job,
    flyte_user,
    monitor_user,
    suffix,
    task_user,
)
from components.pods import (
    LABELS,
    Platform,
    binary_config_map,
    container_security,
    empty_dir,
    generated_password,
    pod_security,
    resources,
    script_config_map,
    stateful_server,
    volume_claim,
)
from settings.projects import TaskScope
from settings.secrets import Generations
from settings.servers import MinioSettings

SERVICE, PORT = "minio", 9000
"""Name of the Service and of the pods' label, and its port."""
KEYS = "minio-keys"
"""Prefix of the name of the Secret with the keys of all users."""
_UID = 1000
_ROOT_USER = "root"


@dataclass(frozen=True)
class MinioArgs:
    """How the object store runs, and who uses it."""

    platform: Platform
    settings: MinioSettings
    generations: Generations
    scopes: Sequence[TaskScope]
    """Task scopes, each of which gets a bucket and a key."""
    client_endpoint: str
    """Address at which clients outside the cluster reach the store; uploads are signed for it."""
    object_days: int
    """Days after which the data of executions expires; 0: never."""
    reader: str = ""
    """Name of a user that may read every bucket, for the backup; empty: there is none."""
    monitored: bool = False
    """Whether there is a user that may read the metrics, for the monitoring."""


class Minio(pulumi.ComponentResource):
    """An S3 server with a bucket and a user for Flyte, and a bucket and a user for each project and domain.

    A user may do only what its policy allows (`components.object_store.policies`). Only the server and the Jobs that
    create and remove users have the root credential. The Jobs run again when any of their inputs changes (a key, a
    project, a policy, the script), because all of these are in their pod templates. Buckets are never removed.

    Another generation of a key is another user, so that both keys work while Flyte and the tasks switch to the new
    one. `RetiredUsers` then removes the old user.
    """

    store: ObjectStore
    """The store for Flyte and its tasks, known before it is ready."""
    administration: StoreAdministration
    """What Jobs need to administer the store."""
    backup: StoreForBackup
    """How the backup opens it."""
    monitor: StoreKey | None = None
    """User that may read the metrics; None if there is no such user."""
    ready: k8s.batch.v1.Job
    """The Job after which every key opens the store. Depend on it rather than on the component: a dependency on a
    component is one on each of its resources, of which there are several for each task scope."""

    def __init__(self, name: str, args: MinioArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Minio", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        platform, settings, generations = args.platform, args.settings, args.generations

        root_password = generated_password(f"{name}-root-password", 40, child, generations.minio_root)
        flyte_key = StoreKey(
            flyte_user(generations.minio_flyte),
            generated_password(f"{name}-secret-key{suffix(generations.minio_flyte)}", 40, child),
        )
        task_keys = {
            scope.namespace: StoreKey(
                task_user(scope, generations.minio_tasks),
                generated_password(
                    f"{name}-key-{scope.project}-{scope.domain}{suffix(generations.minio_tasks)}", 40, child
                ),
            )
            for scope in args.scopes
        }
        readers = (
            [StoreKey(args.reader, generated_password(f"{name}-reader-key", 40, child, generations.minio_flyte))]
            if args.reader
            else []
        )
        if args.monitored:
            user = monitor_user(generations.monitoring)
            ending = suffix(generations.monitoring)
            self.monitor = StoreKey(user, generated_password(f"{name}-monitor-key{ending}", 40, child))
        monitors = [self.monitor] if self.monitor else []
        keys = [flyte_key, *readers, *monitors, *task_keys.values()]

        root = k8s.core.v1.Secret(
            f"{name}-root",
            metadata={"namespace": platform.namespace, "labels": LABELS},
            immutable=True,
            string_data={"root-user": _ROOT_USER, "root-password": root_password},
            opts=child,
        )
        key_files = k8s.core.v1.Secret(
            f"{name}-keys",
            metadata={"namespace": platform.namespace, "labels": LABELS},
            immutable=True,
            string_data={key.access_key: key.secret_key for key in keys},
            opts=child,
        )
        claim = volume_claim(f"{name}-data", platform.namespace, settings.volume, platform.safekeeping, self)
        pod = platform.pod(_server_pod(args, root.metadata.name, claim.metadata.name))
        server = stateful_server(name, platform.namespace, ("s3", PORT), pod, platform.safekeeping, self)
        endpoint = pulumi.Output.concat("http://", server.host, f":{PORT}")
        self.administration = StoreAdministration(
            endpoint=endpoint,
            root=root.metadata.name,
            kept=[
                *flyte_policy_names(flyte_key.access_key, settings.bucket, args.scopes),
                *(key.access_key for key in (*readers, *monitors, *task_keys.values())),
            ],
            previous_task_users=[task_user(scope, generations.minio_tasks - 1) for scope in args.scopes]
            if generations.minio_tasks > 1
            else [],
        )
        users = {task_keys[scope.namespace].access_key: scope for scope in args.scopes}
        buckets = {key.access_key: settings.bucket for key in (flyte_key, *readers, *monitors)}
        buckets |= {user: scope.bucket for user, scope in users.items()}
        # Several ConfigMaps, because one holds 1 MiB.
        archives = [
            binary_config_map(f"{name}-access-{number}", platform.namespace, files, child)
            for number, files in enumerate(task_archives(settings.bucket, users, args.object_days), start=1)
        ]
        scripts = script_config_map(
            f"{name}-provision",
            platform.namespace,
            "minio",
            child,
            {"users": "".join(f"{user} {bucket}\n" for user, bucket in buckets.items())},
            flyte_archives(flyte_key.access_key, settings.bucket, args.scopes, args.object_days)
            | (reader_archives(args.reader) if args.reader else {})
            | (monitor_archives(self.monitor.access_key, settings.bucket) if self.monitor else {}),
        )
        self.ready = administering_job(
            f"{name}-provision",
            "provision.sh",
            platform,
            self.administration,
            {},
            {"keys": key_files.metadata.name},
            [found.metadata.name for found in (scripts, *archives)],
            pulumi.ResourceOptions(parent=self, depends_on=[server.stateful_set]),
        )
        self.store = ObjectStore(endpoint, settings.bucket, flyte_key, args.client_endpoint, task_keys)
        self.backup = StoreForBackup(
            endpoint=endpoint,
            reader=StoreCredentials(key_files.metadata.name, {args.reader: "store-key"}),
            writer=StoreCredentials(root.metadata.name, {"root-user": "root-user", "root-password": "root-password"}),
            reader_name=args.reader,
        )
        self.register_outputs(
            {"endpoint": endpoint, "bucket": settings.bucket, "provisioned": self.ready.metadata.name}
        )


def retire_users(
    name: str, platform: Platform, store: pulumi.Resource, settings: MinioSettings, opts: pulumi.ResourceOptions
) -> None:
    """Remove the users that the stack no longer has, if it has a server of its own."""
    if isinstance(store, Minio):
        RetiredUsers(name, RetiredUsersArgs(platform, store.administration, settings.task_key_window), opts)


def _server_pod(args: MinioArgs, root: pulumi.Input[str], claim: pulumi.Input[str]) -> k8s.core.v1.PodSpecArgsDict:
    def from_root(variable: str, key: str) -> k8s.core.v1.EnvVarArgsDict:
        return {"name": variable, "value_from": {"secret_key_ref": {"name": root, "key": key}}}

    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "termination_grace_period_seconds": 60,
        "security_context": pod_security(_UID),
        "containers": [
            {
                "name": "minio",
                "image": args.platform.images["minio"].reference,
                "image_pull_policy": "IfNotPresent",
                "args": ["server", "/data", "--address", f":{PORT}"],
                "env": [
                    # As references: a missing MINIO_ROOT_PASSWORD_FILE would silently mean the well-known default.
                    from_root("MINIO_ROOT_USER", "root-user"),
                    from_root("MINIO_ROOT_PASSWORD", "root-password"),
                    {"name": "MINIO_BROWSER", "value": "off"},
                    # No requests to the internet for news of releases.
                    {"name": "MINIO_UPDATE", "value": "off"},
                    {"name": "HOME", "value": "/tmp"},  # noqa: S108 (a volume of the pod)
                ],
                "ports": [{"name": "s3", "container_port": PORT}],
                "resources": resources(args.settings.resources),
                "security_context": container_security(),
                "startup_probe": {
                    "http_get": {"path": "/minio/health/ready", "port": "s3"},
                    "period_seconds": 1,
                    "timeout_seconds": 5,
                    "failure_threshold": 300,
                },
                "readiness_probe": {
                    "http_get": {"path": "/minio/health/ready", "port": "s3"},
                    "period_seconds": 15,
                    "timeout_seconds": 5,
                },
                "liveness_probe": {
                    "http_get": {"path": "/minio/health/live", "port": "s3"},
                    "period_seconds": 30,
                    "timeout_seconds": 10,
                    "failure_threshold": 6,
                },
                "volume_mounts": [
                    {"name": "data", "mount_path": "/data"},
                    {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 (a volume of the pod)
                ],
            }
        ],
        "volumes": [
            {"name": "data", "persistent_volume_claim": {"claim_name": claim}},
            empty_dir("tmp", "1Gi"),
        ],
    }

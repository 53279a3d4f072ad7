"""The object store: a MinIO-compatible server in one pod, and in it a bucket and a user for everyone who needs one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.hardening import LABELS, container_security, empty_dir, labels, pod_security, resources
from components.images import Image
from components.password import generated_password
from components.project_namespaces import ProjectNamespace
from components.scripts import script_config_map
from components.sizes import Amount, Resources, Volume
from components.stateful_server import stateful_server
from components.store_policies import flyte_policy, task_policy
from components.volume import Safekeeping, volume_claim

SERVICE, PORT = "minio", 9000
_UID = 1000
PROVISION = f"{SERVICE}-provision"
_ROOT_USER = "root"
_FLYTE_USER = "flyte"
# Users whose names begin so are the stack's; the Job removes those that no project has any more.
TASK_USERS = "flyte-tasks-"
_ROOT, _KEYS = "/run/secrets/root", "/run/secrets/keys"
_JOB_RESOURCES = Resources(requests=Amount(cpu="50m", memory="64Mi"), limits=Amount(cpu="2", memory="640Mi"))


@dataclass(frozen=True)
class StoreKey:
    """A user of the object store and its password."""

    access_key: str
    secret_key: pulumi.Input[str]


@dataclass(frozen=True)
class ObjectStore:
    """The object store as Flyte and its tasks use it."""

    endpoint: pulumi.Input[str]
    # Flyte's own bucket and key.
    bucket: str
    key: StoreKey
    # Where clients outside the cluster reach it.
    client_endpoint: str
    # By namespace: the key of its tasks.
    task_keys: Mapping[str, StoreKey]


@dataclass
class MinioArgs:
    """How the object store is run."""

    namespace: pulumi.Input[str]
    image: Image
    client_image: Image
    safekeeping: Safekeeping
    # Address that clients outside the cluster reach; uploads are signed for it.
    client_endpoint: str
    # Flyte's own bucket.
    bucket: str
    # Who else gets a bucket and a key.
    projects: Sequence[ProjectNamespace]
    volume: Volume
    resources: Resources


class Minio(pulumi.ComponentResource):
    """An S3 server with a bucket for Flyte and one for each project and domain, and a user for each of them.

    No user may do more than its policy says (`components.store_policies`). The root credential is known only to the
    server and to the Job that makes buckets and users. The Job runs again when anything it works with changes (a key, a
    project, a policy, the script), because all of that is in its pod template. It removes the user of a project that is
    gone, and never a bucket.
    """

    store: ObjectStore

    def __init__(self, name: str, args: MinioArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Minio", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        root_password = generated_password(f"{name}-root-password", 40, child)
        flyte_key = StoreKey(_FLYTE_USER, generated_password(f"{name}-secret-key", 40, child))
        task_keys = {
            project.name: StoreKey(
                f"{TASK_USERS}{project.project}-{project.domain}",
                generated_password(f"{name}-key-{project.project}-{project.domain}", 40, child),
            )
            for project in args.projects
        }
        root = k8s.core.v1.Secret(
            f"{name}-root",
            metadata={"namespace": args.namespace, "labels": LABELS},
            immutable=True,
            string_data={"root-user": _ROOT_USER, "root-password": root_password},
            opts=child,
        )
        keys = k8s.core.v1.Secret(
            f"{name}-keys",
            metadata={"namespace": args.namespace, "labels": LABELS},
            immutable=True,
            string_data={key.access_key: key.secret_key for key in (flyte_key, *task_keys.values())},
            opts=child,
        )
        claim = volume_claim(f"{name}-data", args.namespace, args.volume, args.safekeeping, self)
        pod = _server_pod(args, root.metadata.name, claim.metadata.name)
        server = stateful_server(name, args.namespace, ("s3", PORT), pod, args.safekeeping, self)
        endpoint = pulumi.Output.concat("http://", server.host, f":{PORT}")
        policies = {f"{flyte_key.access_key}.json": flyte_policy(args.bucket, args.projects)} | {
            f"{task_keys[project.name].access_key}.json": task_policy(args.bucket, project) for project in args.projects
        }
        scripts = script_config_map(f"{name}-provision", args.namespace, "minio", child, **policies)
        job = k8s.batch.v1.Job(
            f"{name}-provision",
            metadata={"namespace": args.namespace, "labels": LABELS},
            spec={
                "backoff_limit": 4,
                # Before Pulumi's own ten minutes are over.
                "active_deadline_seconds": 540,
                "template": {
                    "metadata": {"labels": labels(PROVISION)},
                    "spec": _provision_pod(
                        args, endpoint, root.metadata.name, keys.metadata.name, scripts.metadata.name
                    ),
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[server.stateful_set]),
        )
        self.store = ObjectStore(endpoint, args.bucket, flyte_key, args.client_endpoint, task_keys)
        self.register_outputs({"endpoint": endpoint, "bucket": args.bucket, "provisioned": job.metadata.name})


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
                "image": args.image.reference,
                "image_pull_policy": "IfNotPresent",
                "args": ["server", "/data", "--address", f":{PORT}"],
                "env": [
                    # By reference: a missing MINIO_ROOT_PASSWORD_FILE would silently mean the well-known default.
                    from_root("MINIO_ROOT_USER", "root-user"),
                    from_root("MINIO_ROOT_PASSWORD", "root-password"),
                    {"name": "MINIO_BROWSER", "value": "off"},
                    # No request to the internet for news of releases.
                    {"name": "MINIO_UPDATE", "value": "off"},
                    {"name": "HOME", "value": "/tmp"},  # noqa: S108 (a volume of the pod)
                ],
                "ports": [{"name": "s3", "container_port": PORT}],
                "resources": resources(args.resources),
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


def _provision_pod(
    args: MinioArgs,
    endpoint: pulumi.Input[str],
    root: pulumi.Input[str],
    keys: pulumi.Input[str],
    scripts: pulumi.Input[str],
) -> k8s.core.v1.PodSpecArgsDict:
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "restart_policy": "Never",
        "security_context": pod_security(_UID),
        "containers": [
            {
                "name": "provision",
                "image": args.client_image.reference,
                "image_pull_policy": "IfNotPresent",
                "command": ["/bin/sh", "/scripts/provision.sh"],
                "env": [
                    {"name": "STORE_URL", "value": endpoint},
                    {"name": "BUCKETS", "value": " ".join([args.bucket, *(found.bucket for found in args.projects)])},
                    {"name": "POLICIES", "value": "/scripts"},
                    {"name": "ROOT", "value": _ROOT},
                    {"name": "KEYS", "value": _KEYS},
                    {"name": "TASK_USERS", "value": TASK_USERS},
                    {"name": "HOME", "value": "/tmp"},  # noqa: S108 (a volume of the pod)
                ],
                "resources": resources(_JOB_RESOURCES),
                "security_context": container_security(),
                "volume_mounts": [
                    {"name": "root", "mount_path": _ROOT, "read_only": True},
                    {"name": "keys", "mount_path": _KEYS, "read_only": True},
                    {"name": "scripts", "mount_path": "/scripts", "read_only": True},
                    {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 (a volume of the pod)
                ],
            }
        ],
        "volumes": [
            {"name": "root", "secret": {"secret_name": root, "default_mode": 0o440}},
            {"name": "keys", "secret": {"secret_name": keys, "default_mode": 0o440}},
            {"name": "scripts", "config_map": {"name": scripts}},
            empty_dir("tmp", "100Mi"),
        ],
    }

"""The object store: a MinIO-compatible server in one pod, and in it a bucket and a user for everyone who needs one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.hardening import LABELS, container_security, empty_dir, pod_security, resources
from components.images import Image
from components.password import generated_password
from components.placement import ANYWHERE, Placement
from components.project_namespaces import ProjectNamespace
from components.scripts import script_config_map
from components.sizes import Resources, Volume
from components.stateful_server import stateful_server
from components.store_policies import flyte_policy, task_policy
from components.store_users import StoreAdministration, StoreKey, administering_job, flyte_user, suffix, task_user
from components.volume import Safekeeping, volume_claim

SERVICE, PORT = "minio", 9000
_UID = 1000
_ROOT_USER = "root"


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
    # Another generation is another generated key.
    root_generation: int = 1
    flyte_generation: int = 1
    task_generation: int = 1
    placement: Placement = ANYWHERE


class Minio(pulumi.ComponentResource):
    """An S3 server with a bucket for Flyte and one for each project and domain, and a user for each of them.

    No user may do more than its policy says (`components.store_policies`). The root credential is known only to the
    server and to the Jobs that make and remove users. They run again when anything they work with changes (a key, a
    project, a policy, the script), because all of that is in their pod templates. Nobody ever removes a bucket.

    Another generation of a key is another user, so that both work while Flyte and the tasks change over; `RetiredUsers`
    then removes the old one.
    """

    store: ObjectStore
    administration: StoreAdministration

    def __init__(self, name: str, args: MinioArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Minio", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        root_password = generated_password(f"{name}-root-password", 40, child, args.root_generation)
        flyte_key = StoreKey(
            flyte_user(args.flyte_generation),
            generated_password(f"{name}-secret-key{suffix(args.flyte_generation)}", 40, child),
        )
        task_keys = {
            project.name: StoreKey(
                task_user(project, args.task_generation),
                generated_password(
                    f"{name}-key-{project.project}-{project.domain}{suffix(args.task_generation)}", 40, child
                ),
            )
            for project in args.projects
        }
        keys = [flyte_key, *task_keys.values()]
        policies = {flyte_key.access_key: flyte_policy(args.bucket, args.projects)} | {
            task_keys[project.name].access_key: task_policy(args.bucket, project) for project in args.projects
        }

        root = k8s.core.v1.Secret(
            f"{name}-root",
            metadata={"namespace": args.namespace, "labels": LABELS},
            immutable=True,
            string_data={"root-user": _ROOT_USER, "root-password": root_password},
            opts=child,
        )
        key_files = k8s.core.v1.Secret(
            f"{name}-keys",
            metadata={"namespace": args.namespace, "labels": LABELS},
            immutable=True,
            string_data={key.access_key: key.secret_key for key in keys},
            opts=child,
        )
        claim = volume_claim(f"{name}-data", args.namespace, args.volume, args.safekeeping, self)
        pod = args.placement.of(_server_pod(args, root.metadata.name, claim.metadata.name))
        server = stateful_server(name, args.namespace, ("s3", PORT), pod, args.safekeeping, self)
        endpoint = pulumi.Output.concat("http://", server.host, f":{PORT}")
        self.administration = StoreAdministration(
            namespace=args.namespace,
            endpoint=endpoint,
            image=args.client_image,
            root=root.metadata.name,
            users=[key.access_key for key in keys],
            previous_task_users=[task_user(project, args.task_generation - 1) for project in args.projects]
            if args.task_generation > 1
            else [],
            placement=args.placement,
        )
        scripts = script_config_map(
            f"{name}-provision",
            args.namespace,
            "minio",
            child,
            **{f"{user}.json": policy for user, policy in policies.items()},
        )
        job = administering_job(
            f"{name}-provision",
            "provision.sh",
            self.administration,
            {"BUCKETS": " ".join([args.bucket, *(found.bucket for found in args.projects)])},
            {"keys": key_files.metadata.name},
            scripts.metadata.name,
            pulumi.ResourceOptions(parent=self, depends_on=[server.stateful_set]),
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

"""The object store: a MinIO-compatible server in one pod, its bucket, and Flyte's own user in it."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.hardening import LABELS, container_security, empty_dir, labels, pod_security, resources
from components.images import Image
from components.password import generated_password
from components.scripts import script_config_map
from components.sizes import Amount, Resources, Volume
from components.stateful_server import stateful_server
from components.volume import Safekeeping, volume_claim

SERVICE, PORT = "minio", 9000
_UID = 1000
_ROOT_USER = "root"
_ACCESS_KEY = "flyte"
_CREDENTIALS = "/run/secrets/minio"
_JOB_RESOURCES = Resources(requests=Amount(cpu="50m", memory="64Mi"), limits=Amount(cpu="1", memory="256Mi"))


@dataclass(frozen=True)
class ObjectStore:
    """A bucket and the key that opens it."""

    endpoint: pulumi.Input[str]
    bucket: str
    access_key: str
    secret_key: pulumi.Input[str]
    client_endpoint: str


@dataclass
class MinioArgs:
    """How the object store is run."""

    namespace: pulumi.Input[str]
    image: Image
    client_image: Image
    safekeeping: Safekeeping
    # Address that clients outside the cluster reach; uploads are signed for it.
    client_endpoint: str
    # Bucket to make.
    bucket: str
    volume: Volume
    resources: Resources


class Minio(pulumi.ComponentResource):
    """An S3 server with one bucket, and a user that may use this bucket and nothing else.

    The root credential is known only to the server and to the Job that makes bucket and user. The Job runs again when
    anything it works with changes (a key, the policy, the script), because all of that is in its pod template.
    """

    store: ObjectStore

    def __init__(self, name: str, args: MinioArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Minio", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        root_password = generated_password(f"{name}-root-password", 40, child)
        secret_key = generated_password(f"{name}-secret-key", 40, child)
        root = k8s.core.v1.Secret(
            f"{name}-root",
            metadata={"namespace": args.namespace, "labels": LABELS},
            immutable=True,
            string_data={"root-user": _ROOT_USER, "root-password": root_password},
            opts=child,
        )
        user = k8s.core.v1.Secret(
            f"{name}-user",
            metadata={"namespace": args.namespace, "labels": LABELS},
            immutable=True,
            string_data={"secret-key": secret_key},
            opts=child,
        )
        claim = volume_claim(f"{name}-data", args.namespace, args.volume, args.safekeeping, self)
        pod = _server_pod(args, root.metadata.name, claim.metadata.name)
        server = stateful_server(name, args.namespace, ("s3", PORT), pod, args.safekeeping, self)
        endpoint = pulumi.Output.concat("http://", server.host, f":{PORT}")
        provision = script_config_map(
            f"{name}-provision", args.namespace, "minio", child, **{"policy.json": _policy(args.bucket)}
        )
        job = k8s.batch.v1.Job(
            f"{name}-provision",
            metadata={"namespace": args.namespace, "labels": LABELS},
            spec={
                "backoff_limit": 4,
                # Before Pulumi's own ten minutes are over.
                "active_deadline_seconds": 540,
                "template": {
                    "metadata": {"labels": labels(f"{name}-provision")},
                    "spec": _provision_pod(
                        args, endpoint, root.metadata.name, user.metadata.name, provision.metadata.name
                    ),
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[server.stateful_set]),
        )
        self.store = ObjectStore(endpoint, args.bucket, _ACCESS_KEY, secret_key, args.client_endpoint)
        self.register_outputs({"endpoint": endpoint, "bucket": args.bucket, "provisioned": job.metadata.name})


def _policy(bucket: str) -> str:
    """What Flyte and its tasks do in the bucket, and no more."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                    "Resource": [f"arn:aws:s3:::{bucket}"],
                },
                {
                    "Effect": "Allow",
                    "Action": [
                        "s3:GetObject",
                        "s3:PutObject",
                        "s3:DeleteObject",
                        "s3:AbortMultipartUpload",
                        "s3:ListMultipartUploadParts",
                    ],
                    "Resource": [f"arn:aws:s3:::{bucket}/*"],
                },
                {
                    # MinIO lets every user make further keys for itself; they would survive a rotation.
                    "Effect": "Deny",
                    "Action": ["admin:CreateServiceAccount", "admin:UpdateServiceAccount"],
                },
            ],
        },
        indent=2,
    )


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
    user: pulumi.Input[str],
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
                    {"name": "BUCKET", "value": args.bucket},
                    {"name": "ACCESS_KEY", "value": _ACCESS_KEY},
                    {"name": "POLICY", "value": "/scripts/policy.json"},
                    {"name": "CREDENTIALS", "value": _CREDENTIALS},
                    {"name": "HOME", "value": "/tmp"},  # noqa: S108 (a volume of the pod)
                ],
                "resources": resources(_JOB_RESOURCES),
                "security_context": container_security(),
                "volume_mounts": [
                    {"name": "credentials", "mount_path": _CREDENTIALS, "read_only": True},
                    {"name": "scripts", "mount_path": "/scripts", "read_only": True},
                    {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 (a volume of the pod)
                ],
            }
        ],
        "volumes": [
            {
                "name": "credentials",
                "projected": {
                    "default_mode": 0o440,
                    "sources": [{"secret": {"name": root}}, {"secret": {"name": user}}],
                },
            },
            {"name": "scripts", "config_map": {"name": scripts}},
            empty_dir("tmp", "100Mi"),
        ],
    }

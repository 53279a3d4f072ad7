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
# Name of the Jobs that make and remove users.
PROVISION = f"{SERVICE}-provision"
_ROOT_USER = "root"
_FLYTE_USER = "flyte"
_TASK_USERS = f"{_FLYTE_USER}-tasks-"
_MOUNTS = "/run/secrets"
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


@dataclass(frozen=True)
class StoreAdministration:
    """What a Job needs to make and remove the users of the object store."""

    namespace: pulumi.Input[str]
    endpoint: pulumi.Input[str]
    # The image of the store's client.
    image: Image
    # Name of the Secret with the root credential.
    root: pulumi.Input[str]
    # The users there shall be.
    users: Sequence[str]
    # Those whose keys tasks may still have that were started before the newest generation.
    previous_task_users: Sequence[str]


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
            f"{_FLYTE_USER}{_suffix(args.flyte_generation)}",
            generated_password(f"{name}-secret-key{_suffix(args.flyte_generation)}", 40, child),
        )
        task_keys = {
            project.name: StoreKey(
                _task_user(project, args.task_generation),
                generated_password(
                    f"{name}-key-{project.project}-{project.domain}{_suffix(args.task_generation)}", 40, child
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
        pod = _server_pod(args, root.metadata.name, claim.metadata.name)
        server = stateful_server(name, args.namespace, ("s3", PORT), pod, args.safekeeping, self)
        endpoint = pulumi.Output.concat("http://", server.host, f":{PORT}")
        self.administration = StoreAdministration(
            namespace=args.namespace,
            endpoint=endpoint,
            image=args.client_image,
            root=root.metadata.name,
            users=[key.access_key for key in keys],
            previous_task_users=[_task_user(project, args.task_generation - 1) for project in args.projects]
            if args.task_generation > 1
            else [],
        )
        scripts = script_config_map(
            f"{name}-provision",
            args.namespace,
            "minio",
            child,
            **{f"{user}.json": policy for user, policy in policies.items()},
        )
        job = _administering_job(
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


@dataclass
class RetiredUsersArgs:
    """Whose keys are closed, and when."""

    store: StoreAdministration
    # Seconds for which the keys of tasks of the generation before still open the store.
    task_key_window: int


class RetiredUsers(pulumi.ComponentResource):
    """A Job that removes from the object store the users that the stack has made and has no more.

    It has to run when Flyte and the Secrets of the tasks have the new keys. Tasks that are running then have the old
    ones; a second Job, which nobody waits for, removes those after the window.
    """

    def __init__(self, name: str, args: RetiredUsersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:RetiredUsers", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        store = args.store
        later = store.previous_task_users if args.task_key_window else []
        scripts = script_config_map(f"{name}-scripts", store.namespace, "minio", child).metadata.name
        environment = {"OWN": _FLYTE_USER, "USERS": " ".join([*store.users, *later])}
        job = _administering_job(name, "retire.sh", store, environment, {}, scripts, child)
        if later:
            environment = {"OWN": _FLYTE_USER, "USERS": " ".join(store.users), "AFTER": str(args.task_key_window)}
            after = pulumi.ResourceOptions(parent=self, depends_on=[job])
            _administering_job(
                f"{name}-later", "retire.sh", store, environment, {}, scripts, after, args.task_key_window
            )
        self.register_outputs({"retired": job.metadata.name})


def _suffix(generation: int) -> str:
    # A dot is in no name of a project or domain.
    return f".{generation}" if generation > 1 else ""


def _task_user(project: ProjectNamespace, generation: int) -> str:
    return f"{_TASK_USERS}{project.project}-{project.domain}{_suffix(generation)}"


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


def _administering_job(
    name: str,
    script: str,
    store: StoreAdministration,
    environment: Mapping[str, str],
    secrets: Mapping[str, pulumi.Input[str]],
    scripts: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    sleeps: int = 0,
) -> k8s.batch.v1.Job:
    """A Job that runs ``script`` as root; a Secret is mounted where the variable of the same name says.

    Pulumi waits for it, unless it ``sleeps`` for some seconds.
    """
    mounted = {"root": store.root, **secrets}
    variables = {
        "STORE_URL": store.endpoint,
        "SCRIPTS": "/scripts",
        **{name.upper(): f"{_MOUNTS}/{name}" for name in mounted},
        **environment,
        "HOME": "/tmp",  # noqa: S108 (a volume of the pod)
    }
    volumes: list[k8s.core.v1.VolumeArgsDict] = [
        {"name": name, "secret": {"secret_name": secret, "default_mode": 0o440}} for name, secret in mounted.items()
    ]
    volumes += [{"name": "scripts", "config_map": {"name": scripts}}, empty_dir("tmp", "100Mi")]
    mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
        {"name": name, "mount_path": f"{_MOUNTS}/{name}", "read_only": True} for name in mounted
    ]
    mounts += [
        {"name": "scripts", "mount_path": "/scripts", "read_only": True},
        {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 (a volume of the pod)
    ]
    pod: k8s.core.v1.PodSpecArgsDict = {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "restart_policy": "Never",
        "security_context": pod_security(_UID),
        "containers": [
            {
                "name": "mc",
                "image": store.image.reference,
                "image_pull_policy": "IfNotPresent",
                "command": ["/bin/sh", f"/scripts/{script}"],
                "env": [{"name": variable, "value": value} for variable, value in variables.items()],
                "resources": resources(_JOB_RESOURCES),
                "security_context": container_security(),
                "volume_mounts": mounts,
            }
        ],
        "volumes": volumes,
    }
    return k8s.batch.v1.Job(
        name,
        metadata={
            "namespace": store.namespace,
            "labels": LABELS,
            **({"annotations": {"pulumi.com/skipAwait": "true"}} if sleeps else {}),
        },
        spec={
            "backoff_limit": 4,
            # Before Pulumi's own ten minutes are over. A sleeper may be moved to another node, and sleep again.
            "active_deadline_seconds": 540 + 2 * sleeps,
            "template": {"metadata": {"labels": labels(PROVISION)}, "spec": pod},
        },
        opts=opts,
    )

"""The users of the object store: their names and keys, and the Jobs that make and remove them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.hardening import LABELS, container_security, empty_dir, labels, pod_security, resources
from components.images import Image
from components.placement import ANYWHERE, Placement
from components.project_namespaces import ProjectNamespace
from components.scripts import script_config_map
from components.sizes import Amount, Resources

# Label of the pods of all these Jobs.
JOBS = "minio-provision"
_UID = 1000
_MOUNTS = "/run/secrets"
_RESOURCES = Resources(requests=Amount(cpu="50m", memory="64Mi"), limits=Amount(cpu="2", memory="640Mi"))
# Users of this name, and those whose names begin with it and a dot or "-tasks-", are the stack's.
_OWN = "flyte"


@dataclass(frozen=True)
class StoreKey:
    """A user of the object store and its password."""

    access_key: str
    secret_key: pulumi.Input[str]


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
    placement: Placement = ANYWHERE


def flyte_user(generation: int) -> str:
    """The name of Flyte's user."""
    return f"{_OWN}{suffix(generation)}"


def task_user(project: ProjectNamespace, generation: int) -> str:
    """The name of the user of the tasks of a project in a domain."""
    return f"{_OWN}-tasks-{project.project}-{project.domain}{suffix(generation)}"


def suffix(generation: int) -> str:
    """What tells the generations of a name apart; a dot is in no name of a project or domain."""
    return f".{generation}" if generation > 1 else ""


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
        environment = {"OWN": _OWN, "USERS": " ".join([*store.users, *later])}
        job = administering_job(name, "retire.sh", store, environment, {}, scripts, child)
        if later:
            environment = {"OWN": _OWN, "USERS": " ".join(store.users), "AFTER": str(args.task_key_window)}
            after = pulumi.ResourceOptions(parent=self, depends_on=[job])
            administering_job(
                f"{name}-later", "retire.sh", store, environment, {}, scripts, after, args.task_key_window
            )
        self.register_outputs({"retired": job.metadata.name})


def administering_job(
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
        # A shell that sleeps hears nothing, and may be ended at any time.
        "termination_grace_period_seconds": 1,
        "security_context": pod_security(_UID),
        "containers": [
            {
                "name": "mc",
                "image": store.image.reference,
                "image_pull_policy": "IfNotPresent",
                "command": ["/bin/sh", f"/scripts/{script}"],
                "env": [{"name": variable, "value": value} for variable, value in variables.items()],
                "resources": resources(_RESOURCES),
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
            "template": {"metadata": {"labels": labels(JOBS)}, "spec": store.placement.of(pod)},
        },
        opts=opts,
    )

"""The users of the object store: their names, and the Jobs that create and remove them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.pods import (
    LABELS,
    Platform,
    awaited_job,
    container_security,
    empty_dir,
    labels,
    pod_security,
    resources,
    script_config_map,
)
from settings.projects import TaskScope
from settings.quantities import Resources, default_resources

JOBS = "minio-provision"
"""Value of the label of all pods that administer the store."""
_UID = 1000
_MOUNTS, _SCRIPTS = "/run/secrets", "/scripts"
_RESOURCES: Resources = default_resources("50m", "64Mi", "2", "640Mi")
# The stack owns the user and the policy of this name, and those whose names begin with it and a dot or "-tasks-".
_OWN = "flyte"


@dataclass(frozen=True)
class StoreAdministration:
    """What a Job needs to create and remove users of the object store."""

    endpoint: pulumi.Input[str]
    """Address of the store inside the cluster."""
    root: pulumi.Input[str]
    """Name of the Secret with the root credential."""
    kept: Sequence[str]
    """Names of the users and policies that must exist."""
    previous_task_users: Sequence[str]
    """Users of the previous generation: tasks started before the rotation may still hold their keys."""


def flyte_user(generation: int) -> str:
    """Name of Flyte's user."""
    return f"{_OWN}{suffix(generation)}"


def task_user(scope: TaskScope, generation: int) -> str:
    """Name of the user of the tasks of a project in a domain."""
    return f"{_OWN}-tasks-{scope.project}-{scope.domain}{suffix(generation)}"


def monitor_user(generation: int) -> str:
    """Name of the user that reads the metrics. No domain or project has its dot in its name."""
    return f"{_OWN}.metrics{suffix(generation)}"


def suffix(generation: int) -> str:
    """Suffix of a user's name for its generation. Its dot cannot occur in the name of a project or domain."""
    return f".{generation}" if generation > 1 else ""


@dataclass(frozen=True)
class RetiredUsersArgs:
    """Which users are removed, and when."""

    platform: Platform
    store: StoreAdministration
    task_key_window: int
    """Seconds for which task keys of the previous generation still open the store."""


class RetiredUsers(pulumi.ComponentResource):
    """A Job that removes the users that the stack created and no longer has.

    It must run after Flyte and the Secrets of the tasks have the new keys. Tasks that are running at that moment still
    have the old keys. A second Job, which Pulumi does not wait for, removes those users after the window.
    """

    def __init__(self, name: str, args: RetiredUsersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:RetiredUsers", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        store = args.store
        later = store.previous_task_users if args.task_key_window else []
        # Files: the system limits an environment variable to 128 KiB.
        lists = {"kept": _lines([*store.kept, *later])} | ({"kept-later": _lines(store.kept)} if later else {})
        scripts = [script_config_map(f"{name}-scripts", args.platform.namespace, "minio", child, lists).metadata.name]
        environment = {"OWN": _OWN, "KEPT": f"{_SCRIPTS}/kept"}
        job = administering_job(name, "retire.sh", args.platform, store, environment, {}, scripts, child)
        if later:
            environment = {"OWN": _OWN, "KEPT": f"{_SCRIPTS}/kept-later", "AFTER": str(args.task_key_window)}
            after = pulumi.ResourceOptions(parent=self, depends_on=[job])
            administering_job(
                f"{name}-later",
                "retire.sh",
                args.platform,
                store,
                environment,
                {},
                scripts,
                after,
                args.task_key_window,
            )
        self.register_outputs({"retired": job.metadata.name})


def administering_job(
    name: str,
    script: str,
    platform: Platform,
    store: StoreAdministration,
    environment: Mapping[str, str],
    secrets: Mapping[str, pulumi.Input[str]],
    scripts: Sequence[pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
    sleeps: int = 0,
) -> k8s.batch.v1.Job:
    """A Job that runs ``script`` with the store's root credential. Pulumi waits for it, unless it sleeps.

    Args:
        name: name of the resource.
        script: file name in ``scripts/minio``.
        platform: where the Job runs.
        store: the store to administer.
        environment: further environment variables.
        secrets: names of further Secrets to mount; the variable of the same name, in capitals, has the path.
        scripts: names of the ConfigMaps with the scripts and their files, which appear in one folder.
        opts: options of the resource.
        sleeps: seconds for which the script sleeps before it starts.
    """
    mounted = {"root": store.root, **secrets}
    variables = {
        "STORE_URL": store.endpoint,
        "SCRIPTS": _SCRIPTS,
        **{name.upper(): f"{_MOUNTS}/{name}" for name in mounted},
        **environment,
        "HOME": "/tmp",  # noqa: S108 (a volume of the pod)
    }
    volumes: list[k8s.core.v1.VolumeArgsDict] = [
        {"name": name, "secret": {"secret_name": secret, "default_mode": 0o440}} for name, secret in mounted.items()
    ]
    sources: list[k8s.core.v1.VolumeProjectionArgsDict] = [{"config_map": {"name": name}} for name in scripts]
    volumes += [{"name": "scripts", "projected": {"sources": sources}}, empty_dir("tmp", "100Mi")]
    mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
        {"name": name, "mount_path": f"{_MOUNTS}/{name}", "read_only": True} for name in mounted
    ]
    mounts += [
        {"name": "scripts", "mount_path": _SCRIPTS, "read_only": True},
        {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 (a volume of the pod)
    ]
    pod: k8s.core.v1.PodSpecArgsDict = {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "restart_policy": "Never",
        # A sleeping shell ignores SIGTERM, and it may be killed at any time.
        "termination_grace_period_seconds": 1,
        "security_context": pod_security(_UID),
        "containers": [
            {
                "name": "mc",
                "image": platform.images["mc"].reference,
                "image_pull_policy": "IfNotPresent",
                "command": ["/bin/sh", f"{_SCRIPTS}/{script}"],
                "env": [{"name": variable, "value": value} for variable, value in variables.items()],
                "resources": resources(_RESOURCES),
                "security_context": container_security(),
                "volume_mounts": mounts,
            }
        ],
        "volumes": volumes,
    }
    placed_pod = platform.pod(pod)
    if not sleeps:
        return awaited_job(name, platform.namespace, JOBS, placed_pod, opts)
    return k8s.batch.v1.Job(
        name,
        metadata={
            "namespace": platform.namespace,
            "labels": LABELS,
            "annotations": {"pulumi.com/skipAwait": "true"},
        },
        spec={"backoff_limit": 4, "template": {"metadata": {"labels": labels(JOBS)}, "spec": placed_pod}},
        opts=opts,
    )


def _lines(names: Sequence[str]) -> str:
    return "".join(f"{name}\n" for name in names)

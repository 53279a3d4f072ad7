"""The namespaces in which the tasks of Flyte's projects run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.pods import LABELS, Platform, namespace_labels, placed, pod_security, pull_secrets, resources
from components.tasks import namespace_annotations
from components.tasks.names import POD_TEMPLATE, SERVICE_ACCOUNT, STORE_AUTHORITY
from settings.external_store import ExternalStore
from settings.projects import TaskScope, filled
from settings.quantities import Resources
from settings.secrets import TASK_STORE_KEY, TASK_STORE_SECRET
from settings.tasks import TaskSettings

_AUTHORITY_FOLDER, _AUTHORITY_FILE = "/etc/flyte-home/object-store", "ca.pem"
# Otherwise the request would be the limit, and few pods would fit on a node.
_EPHEMERAL_REQUEST = "100Mi"
# The API server accepts only a valid pod in a pod template. Flyte replaces the image by the task's.
_PLACEHOLDER_IMAGE = "placeholder:of-the-task"


@dataclass(frozen=True)
class ProjectNamespacesArgs:
    """The task scopes, and what a task pod gets by default."""

    platform: Platform
    scopes: Sequence[TaskScope]
    tasks: TaskSettings
    store: ExternalStore | None = None
    """The object store, if it is an external one: what task pods need to open it besides their key."""
    docker_config: str = ""
    """Logins for the images of tasks; empty: none."""


class ProjectNamespaces(pulumi.ComponentResource):
    """A namespace for each project and domain, with quota, limit range, service account and pod template."""

    names: dict[str, pulumi.Output[str]]
    """The namespaces by name, each known once it exists. Depend on the component to wait for the pod defaults too."""

    def __init__(self, name: str, args: ProjectNamespacesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:ProjectNamespaces", name, None, opts)
        self.names = {}
        for scope in args.scopes:
            namespace = k8s.core.v1.Namespace(
                scope.namespace,
                metadata={
                    "name": scope.namespace,
                    "labels": namespace_labels(
                        scope.pod_security, **{"flyte.org/project": scope.project, "flyte.org/domain": scope.domain}
                    ),
                    "annotations": namespace_annotations.of_namespace(scope),
                },
                opts=pulumi.ResourceOptions(parent=self, provider=args.platform.cluster_provider),
            )
            self.names[scope.namespace] = namespace.metadata.name
            # Children of the component, not of the namespace, so that dependents of the component wait for them too.
            self._defaults(scope, args, pulumi.ResourceOptions(parent=self, deleted_with=namespace))
        self.register_outputs({"names": self.names})

    def _defaults(self, scope: TaskScope, args: ProjectNamespacesArgs, opts: pulumi.ResourceOptions) -> None:
        tasks, namespace = args.tasks, self.names[scope.namespace]
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": POD_TEMPLATE,
            "namespace": namespace,
            "labels": LABELS,
        }
        hard = {**scope.quota.by_name, **scope.devices}
        if scope.quota.enabled:
            k8s.core.v1.ResourceQuota(scope.namespace, metadata=metadata, spec={"hard": hard}, opts=opts)
        logins = pull_secrets(f"registries-{scope.namespace}", namespace, args.docker_config, opts)
        k8s.core.v1.ServiceAccount(
            scope.namespace,
            metadata=_service_account(metadata, scope, args.store),
            automount_service_account_token=scope.service_account_token,
            # The API server gives them to every pod of the account that names none.
            image_pull_secrets=[{"name": login} for login in logins] or None,
            opts=opts,
        )
        # For containers that do not come from the pod template, such as the co-pilot or the sidecar of a pod task:
        # the quota rejects a pod without requests and limits.
        k8s.core.v1.LimitRange(
            scope.namespace,
            metadata=metadata,
            spec={
                "limits": [
                    {
                        "type": "Container",
                        "default_request": {**tasks.requests.by_name, "ephemeral-storage": _EPHEMERAL_REQUEST},
                        "default": {**tasks.limits.by_name, "ephemeral-storage": tasks.ephemeral_storage},
                    },
                ]
            },
            opts=opts,
        )
        authority = args.store.certificate_authority if args.store else ""
        if authority:
            k8s.core.v1.ConfigMap(
                f"{scope.namespace}-store-authority",
                metadata={**metadata, "name": STORE_AUTHORITY},
                data={_AUTHORITY_FILE: authority},
                opts=opts,
            )
        k8s.core.v1.PodTemplate(
            scope.namespace,
            metadata=metadata,
            template={"spec": placed(_task_pod(scope, tasks.resources, bool(authority)), tasks.placement)},
            opts=opts,
        )


def _service_account(
    metadata: k8s.meta.v1.ObjectMetaArgsDict, scope: TaskScope, store: ExternalStore | None
) -> k8s.meta.v1.ObjectMetaArgsDict:
    """Metadata of the service account of tasks, with their role of AWS if they have one."""
    account: k8s.meta.v1.ObjectMetaArgsDict = {**metadata, "name": SERVICE_ACCOUNT}
    if store and store.task_annotations:
        account["annotations"] = {
            key: filled(text, scope.project, scope.domain) for key, text in store.task_annotations.items()
        }
    return account


def _task_pod(scope: TaskScope, amounts: Resources, authority: bool) -> k8s.core.v1.PodSpecArgsDict:
    """The default pod of a task: hardened as *restricted* requires, except that the settings may allow root.

    A task cannot choose root: Flyte ignores ``runAsUser: 0`` in a task's own pod template.

    Args:
        scope: whose task it is.
        amounts: requests and limits of its container.
        authority: whether its containers trust the private authority of an external object store.
    """
    container: k8s.core.v1.ContainerArgsDict = {
        # Flyte bases every container of a task on the container of this name
        # (https://docs-legacy.flyte.org/en/latest/deployment/configuration/general.html#default-podtemplates).
        "name": "default",
        "image": _PLACEHOLDER_IMAGE,
        # Set explicitly: an untagged image defaults to Always, so every task would pull it.
        "image_pull_policy": "IfNotPresent",
        "resources": resources(amounts),
        # The root file system is writable: task images write to places of their own choice.
        "security_context": {"allow_privilege_escalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    environment: list[k8s.core.v1.EnvVarArgsDict] = []
    if authority:
        environment, container["volume_mounts"] = _trust()
        container["env"] = environment
    # The same for init containers, such as the co-pilot, which finds the key of the tasks in its environment.
    init_container: k8s.core.v1.ContainerArgsDict = {
        **container,
        "name": "default-init",
        "env": environment + _co_pilot_key(),
    }
    pod: k8s.core.v1.PodSpecArgsDict = {
        "service_account_name": SERVICE_ACCOUNT,
        "automount_service_account_token": scope.service_account_token,
        "enable_service_links": False,
        "termination_grace_period_seconds": 30,
        "security_context": {**pod_security(scope.run_as_user), "run_as_non_root": scope.run_as_user > 0},
        "containers": [container],
        "init_containers": [init_container],
    }
    if authority:
        pod["volumes"] = [{"name": STORE_AUTHORITY, "config_map": {"name": STORE_AUTHORITY}}]
    if scope.runtime_class:
        pod["runtime_class_name"] = scope.runtime_class
    return pod


def _co_pilot_key() -> list[k8s.core.v1.EnvVarArgsDict]:
    """The key of the tasks under the names of AWS' library. With roles there is none."""
    return [
        {
            "name": name.removeprefix("FLYTE_"),
            "value_from": {"secret_key_ref": {"name": TASK_STORE_SECRET, "key": name, "optional": True}},
        }
        for name in TASK_STORE_KEY
    ]


def _trust() -> tuple[list[k8s.core.v1.EnvVarArgsDict], list[k8s.core.v1.VolumeMountArgsDict]]:
    """Environment and mounts of a container that trusts the private authority of the object store."""
    environment: list[k8s.core.v1.EnvVarArgsDict] = [
        # flytekit opens the store with AWS' library, which then trusts this authority only.
        {"name": "AWS_CA_BUNDLE", "value": f"{_AUTHORITY_FOLDER}/{_AUTHORITY_FILE}"},
        # The co-pilot is written in Go, which reads these folders besides its own bundle.
        {"name": "SSL_CERT_DIR", "value": f"/etc/ssl/certs:{_AUTHORITY_FOLDER}"},
    ]
    mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
        {"name": STORE_AUTHORITY, "mount_path": _AUTHORITY_FOLDER, "read_only": True}
    ]
    return environment, mounts

"""The namespaces in which the tasks of Flyte's projects run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.pods import LABELS, Platform, namespace_labels, placed, pod_security, pull_secrets, resources
from components.tasks import namespace_annotations
from components.tasks.names import POD_TEMPLATE, SERVICE_ACCOUNT
from settings.projects import TaskScope
from settings.quantities import Resources
from settings.tasks import TaskSettings

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
            metadata={**metadata, "name": SERVICE_ACCOUNT},
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
        k8s.core.v1.PodTemplate(
            scope.namespace,
            metadata=metadata,
            template={"spec": placed(_task_pod(scope, tasks.resources), tasks.placement)},
            opts=opts,
        )


def _task_pod(scope: TaskScope, amounts: Resources) -> k8s.core.v1.PodSpecArgsDict:
    """The default pod of a task: hardened as *restricted* requires, except that the settings may allow root.

    A task cannot choose root: Flyte ignores ``runAsUser: 0`` in a task's own pod template.
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
    pod: k8s.core.v1.PodSpecArgsDict = {
        "service_account_name": SERVICE_ACCOUNT,
        "automount_service_account_token": scope.service_account_token,
        "enable_service_links": False,
        "termination_grace_period_seconds": 30,
        "security_context": {**pod_security(scope.run_as_user), "run_as_non_root": scope.run_as_user > 0},
        "containers": [container],
        # The same for init containers, such as the co-pilot.
        "init_containers": [{**container, "name": "default-init"}],
    }
    if scope.runtime_class:
        pod["runtime_class_name"] = scope.runtime_class
    return pod

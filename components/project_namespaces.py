"""The namespaces in which the tasks of Flyte's projects run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.egress import Egress
from components.hardening import LABELS, PodSecurityLevel, namespace_labels, pod_security, resources
from components.placement import ANYWHERE, Placement
from components.sizes import Resources

# The name that `plugins.k8s.default-pod-template-name` in charts/flyte-binary/values.yaml asks for, and that of the
# service account with which the template runs tasks.
POD_TEMPLATE = SERVICE_ACCOUNT = "flyte-task"

# The API server wants a pod template to be a valid pod; Flyte replaces the image by that of the task.
_PLACEHOLDER_IMAGE = "placeholder:of-the-task"


def platform_namespace(name: str, opts: pulumi.ResourceOptions) -> k8s.core.v1.Namespace:
    """The namespace of Flyte and its stores, in which no pod may have more rights than *restricted* allows."""
    return k8s.core.v1.Namespace(name, metadata={"name": name, "labels": namespace_labels("restricted")}, opts=opts)


@dataclass
class ProjectNamespace:
    """One project in one domain."""

    # Name of the namespace.
    name: str
    # Flyte's identifiers.
    project: str
    domain: str
    # Its bucket in the object store.
    bucket: str
    # Hard limits of the ResourceQuota, by the names Kubernetes gives them (``requests.cpu``, ``pods``, ...).
    quota: Mapping[str, str]
    # The Pod Security level that is enforced, and why it is another than usual; empty if it is not.
    pod_security: PodSecurityLevel
    pod_security_reason: str
    # User and group of task pods; 0 is root.
    run_as_user: int
    # Whether task pods get a token for the Kubernetes API.
    service_account_token: bool
    # What task pods may reach.
    egress: Egress


@dataclass
class ProjectNamespacesArgs:
    """The namespaces, and what a task pod in them gets when its task asks for nothing."""

    namespaces: Sequence[ProjectNamespace]
    resources: Resources
    # For the namespaces themselves: one that takes over no namespace that is there already.
    cluster_provider: pulumi.ProviderResource
    # Nodes for task pods whose tasks say nothing of them.
    placement: Placement = ANYWHERE


class ProjectNamespaces(pulumi.ComponentResource):
    """A namespace for each project and domain, with its quota, its limit range, its service account and default pod.

    ``names`` are the namespaces; whoever uses one waits until the pod defaults in it are there as well.
    """

    names: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ProjectNamespacesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:ProjectNamespaces", name, None, opts)
        self.names = {}
        for wanted in args.namespaces:
            namespace = k8s.core.v1.Namespace(
                wanted.name,
                metadata={
                    "name": wanted.name,
                    "labels": namespace_labels(
                        wanted.pod_security, **{"flyte.org/project": wanted.project, "flyte.org/domain": wanted.domain}
                    ),
                    **(
                        {"annotations": {"flyte-home/pod-security-reason": wanted.pod_security_reason}}
                        if wanted.pod_security_reason
                        else {}
                    ),
                },
                opts=pulumi.ResourceOptions(parent=self, provider=args.cluster_provider),
            )
            self.names[wanted.name] = namespace.metadata.name
            # Children of the component, not of the namespace: whoever depends on the component waits for these too.
            self._defaults(wanted, args, pulumi.ResourceOptions(parent=self, deleted_with=namespace))
        self.register_outputs({"names": self.names})

    def _defaults(self, wanted: ProjectNamespace, args: ProjectNamespacesArgs, opts: pulumi.ResourceOptions) -> None:
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {
            "name": POD_TEMPLATE,
            "namespace": self.names[wanted.name],
            "labels": LABELS,
        }
        k8s.core.v1.ResourceQuota(wanted.name, metadata=metadata, spec={"hard": dict(wanted.quota)}, opts=opts)
        k8s.core.v1.ServiceAccount(
            wanted.name,
            metadata={**metadata, "name": SERVICE_ACCOUNT},
            automount_service_account_token=wanted.service_account_token,
            opts=opts,
        )
        # For containers the pod template does not reach, such as the co-pilot's or a pod task's side car: the quota
        # would refuse a pod without requests and limits.
        k8s.core.v1.LimitRange(
            wanted.name,
            metadata=metadata,
            spec={
                "limits": [
                    {
                        "type": "Container",
                        "default_request": args.resources.requests.by_name,
                        "default": args.resources.limits.by_name,
                    },
                ]
            },
            opts=opts,
        )
        k8s.core.v1.PodTemplate(
            wanted.name,
            metadata=metadata,
            template={"spec": args.placement.of(_task_pod(wanted, args.resources))},
            opts=opts,
        )


def _task_pod(namespace: ProjectNamespace, amounts: Resources) -> k8s.core.v1.PodSpecArgsDict:
    """What a task pod is like where its task says nothing else: hardened as *restricted* wants it, but for root.

    A task cannot make itself root: Flyte takes a zero in its own pod template for nothing said.
    """
    container: k8s.core.v1.ContainerArgsDict = {
        # Flyte starts every container of a task from the one of this name
        # (https://docs-legacy.flyte.org/en/latest/deployment/configuration/general.html#default-podtemplates).
        "name": "default",
        "image": _PLACEHOLDER_IMAGE,
        # Said, because for an image without a tag it would be Always, and every task would pull.
        "image_pull_policy": "IfNotPresent",
        "resources": resources(amounts),
        # The root file system is not read-only: images of tasks write where they like.
        "security_context": {"allow_privilege_escalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "service_account_name": SERVICE_ACCOUNT,
        "automount_service_account_token": namespace.service_account_token,
        "enable_service_links": False,
        "termination_grace_period_seconds": 30,
        "security_context": {**pod_security(namespace.run_as_user), "run_as_non_root": namespace.run_as_user > 0},
        "containers": [container],
        # The same for init containers, such as the co-pilot's.
        "init_containers": [{**container, "name": "default-init"}],
    }

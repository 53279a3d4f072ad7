"""What Flyte may do in the cluster, instead of what its chart would allow it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.flyte_binary import SERVICE_ACCOUNT
from components.hardening import LABELS

_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "patch", "update"]

# Flyte's informers know no list of namespaces, only one or all.
_WATCHED: list[k8s.rbac.v1.PolicyRuleArgsDict] = [
    {"api_groups": [""], "resources": ["pods", "podtemplates"], "verbs": _READ},
    {"api_groups": ["flyte.lyft.com"], "resources": ["flyteworkflows"], "verbs": _READ},
]

_IN_TASK_NAMESPACES: list[k8s.rbac.v1.PolicyRuleArgsDict] = [
    {"api_groups": [""], "resources": ["pods"], "verbs": _WRITE},
    {"api_groups": [""], "resources": ["events"], "verbs": _WRITE},
    {"api_groups": ["flyte.lyft.com"], "resources": ["flyteworkflows"], "verbs": [*_WRITE, "deletecollection"]},
]


@dataclass
class FlyteRightsArgs:
    """Where Flyte is, and where it works."""

    # Namespace of Flyte and its service account.
    namespace: pulumi.Input[str]
    # The namespaces of the projects.
    task_namespaces: Mapping[str, pulumi.Input[str]]
    # Name of the Secret with the webhook's certificate.
    certificate: pulumi.Input[str]
    # For what is cluster-wide: one that takes over nothing that is there already.
    cluster_provider: pulumi.ProviderResource


class FlyteRights(pulumi.ComponentResource):
    """The roles of Flyte's service account: it sees pods and workflows everywhere, and changes them in its projects.

    The chart's own ClusterRole reads and writes every Secret of the cluster, makes namespaces, and changes webhook
    configurations, which is as much as everything. Here it has no right on Secrets but what its start needs in its
    own namespace: it tries to make the certificate of its webhook, finds it there, and reads it
    (https://github.com/flyteorg/flyte/blob/v1.16.8/flytepropeller/pkg/webhook/init_cert.go).
    """

    def __init__(self, name: str, args: FlyteRightsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:FlyteRights", name, None, opts)
        subject: k8s.rbac.v1.SubjectArgsDict = {
            "kind": "ServiceAccount",
            "name": SERVICE_ACCOUNT,
            "namespace": args.namespace,
        }
        cluster = pulumi.ResourceOptions(parent=self, provider=args.cluster_provider)
        watcher = k8s.rbac.v1.ClusterRole(
            f"{name}-watch",
            metadata={"name": f"{SERVICE_ACCOUNT}-watch", "labels": LABELS},
            rules=_WATCHED,
            opts=cluster,
        )
        k8s.rbac.v1.ClusterRoleBinding(
            f"{name}-watch",
            metadata={"name": f"{SERVICE_ACCOUNT}-watch", "labels": LABELS},
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": watcher.metadata.name},
            subjects=[subject],
            opts=cluster,
        )
        own: list[k8s.rbac.v1.PolicyRuleArgsDict] = [
            # Who makes something has no name for it yet, so RBAC cannot say which.
            {"api_groups": [""], "resources": ["secrets"], "verbs": ["create"]},
            {"api_groups": [""], "resources": ["secrets"], "resource_names": [args.certificate], "verbs": ["get"]},
        ]
        self._role(f"{name}-own", args.namespace, own, subject)
        for namespace, there in args.task_namespaces.items():
            self._role(f"{name}-{namespace}", there, _IN_TASK_NAMESPACES, subject)
        self.register_outputs({})

    def _role(
        self,
        name: str,
        namespace: pulumi.Input[str],
        rules: list[k8s.rbac.v1.PolicyRuleArgsDict],
        subject: k8s.rbac.v1.SubjectArgsDict,
    ) -> None:
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": SERVICE_ACCOUNT, "namespace": namespace, "labels": LABELS}
        child = pulumi.ResourceOptions(parent=self)
        role = k8s.rbac.v1.Role(name, metadata=metadata, rules=rules, opts=child)
        k8s.rbac.v1.RoleBinding(
            name,
            metadata=metadata,
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
            subjects=[subject],
            opts=child,
        )

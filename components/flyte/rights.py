"""What Flyte may do in the cluster, in place of the rights that its chart gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.flyte.names import SERVICE_ACCOUNT
from components.pods import LABELS, Platform

_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "patch", "update"]

# Flyte's informers watch one namespace or all, but not a list of namespaces.
_WATCHED: list[k8s.rbac.v1.PolicyRuleArgsDict] = [
    {"api_groups": [""], "resources": ["pods", "podtemplates"], "verbs": _READ},
    {"api_groups": ["flyte.lyft.com"], "resources": ["flyteworkflows"], "verbs": _READ},
]

_IN_TASK_NAMESPACES: list[k8s.rbac.v1.PolicyRuleArgsDict] = [
    {"api_groups": [""], "resources": ["pods"], "verbs": _WRITE},
    {"api_groups": [""], "resources": ["events"], "verbs": _WRITE},
    {"api_groups": ["flyte.lyft.com"], "resources": ["flyteworkflows"], "verbs": [*_WRITE, "deletecollection"]},
]


@dataclass(frozen=True)
class FlyteRightsArgs:
    """Where Flyte runs, and where its tasks run."""

    platform: Platform
    task_namespaces: Mapping[str, pulumi.Input[str]]
    """Task namespaces by name."""


class FlyteRights(pulumi.ComponentResource):
    """The roles of Flyte's service account: it reads pods and workflows everywhere and changes them in task namespaces.

    The chart's own ClusterRole reads and writes every Secret of the cluster, creates namespaces and changes webhook
    configurations, which amounts to all rights. Here Flyte has no right on any Secret, not even in its own namespace:
    Helm keeps its releases there as Secrets and trusts the newest, so that the right to create one is enough to get the
    rights of the person who runs the next update. Nothing needs it, because Flyte's webhook runs elsewhere.
    """

    def __init__(self, name: str, args: FlyteRightsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:FlyteRights", name, None, opts)
        subject: k8s.rbac.v1.SubjectArgsDict = {
            "kind": "ServiceAccount",
            "name": SERVICE_ACCOUNT,
            "namespace": args.platform.namespace,
        }
        cluster = pulumi.ResourceOptions(parent=self, provider=args.platform.cluster_provider)
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
        for namespace, created in args.task_namespaces.items():
            self._role(f"{name}-{namespace}", created, _IN_TASK_NAMESPACES, subject)
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

"""Rules of network policies that several components need."""

from __future__ import annotations

from typing import TypeAlias

import pulumi_kubernetes as k8s

Egress: TypeAlias = "k8s.networking.v1.NetworkPolicyEgressRuleArgsDict"

_DNS_NAMESPACE = "kube-system"
# https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/
_NODE_LOCAL_DNS = "169.254.20.10/32"
_DNS_PORTS: list[k8s.networking.v1.NetworkPolicyPortArgsDict] = [
    {"port": 53, "protocol": "UDP"},
    {"port": 53, "protocol": "TCP"},
]


def all_pods_of(namespace: str) -> k8s.networking.v1.NetworkPolicyPeerArgsDict:
    """All pods of a namespace. Kubernetes sets this label on every namespace."""
    return {"namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": namespace}}}


def dns_egress() -> Egress:
    """The way to the cluster's DNS."""
    return {"to": [all_pods_of(_DNS_NAMESPACE), {"ip_block": {"cidr": _NODE_LOCAL_DNS}}], "ports": _DNS_PORTS}

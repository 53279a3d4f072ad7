"""The semantics of network policies, and the connections that a stack must allow.

https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.lib.recording import Recording

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """A pod, or an address outside the cluster's pods."""

    address: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def allowed(policies: Iterable[Policy], source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection is allowed: both for the source to open and for the target to accept."""
    there = list(policies)
    return _may(there, "Egress", source, target, port, protocol) and _may(
        there, "Ingress", target, source, port, protocol
    )


def policies_of(recording: Recording) -> list[Policy]:
    """The network policies of a stack."""
    return [found.manifest for found in recording.of("NetworkPolicy")]


def _may(policies: list[Policy], direction: str, own: Place, other: Place, port: int, protocol: str) -> bool:
    """Whether policies allow this direction for ``own``. They do not limit unselected pods or other addresses."""
    selecting = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == own.namespace
        and _selects(policy["spec"]["podSelector"], own.labels)
        and direction in policy["spec"]["policyTypes"]
    ]
    if not selecting:
        return True
    peers = {"Ingress": "from", "Egress": "to"}[direction]
    return any(
        _has_port(rule.get("ports", []), port, protocol) and _has_peer(rule.get(peers, []), own.namespace, other)
        for spec in selecting
        for rule in spec.get(direction.lower(), [])
    )


def _has_port(ports: list[dict[str, Any]], port: int, protocol: str) -> bool:
    return not ports or any(entry["port"] == port and entry.get("protocol", "TCP") == protocol for entry in ports)


def _has_peer(peers: list[dict[str, Any]], own_namespace: str, other: Place) -> bool:
    return not peers or any(_is_peer(peer, own_namespace, other) for peer in peers)


def _is_peer(peer: dict[str, Any], own_namespace: str, other: Place) -> bool:
    if "ipBlock" in peer:
        address = ipaddress.ip_address(other.address)
        excluded = peer["ipBlock"].get("except", [])
        return address in ipaddress.ip_network(peer["ipBlock"]["cidr"]) and not any(
            address in ipaddress.ip_network(network) for network in excluded
        )
    if not other.namespace:
        return False
    if "namespaceSelector" in peer:
        # The only label that every namespace has.
        found = _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
    else:
        found = other.namespace == own_namespace
    return found and _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}  # the program uses no other kind
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def _pod(number: int, namespace: str, **labels: str) -> Place:
    return Place(f"10.42.0.{number}", namespace, {f"app.kubernetes.io/{key}": value for key, value in labels.items()})


PLACES = {
    "flyte": _pod(1, "flyte", name="flyte-binary", instance="flyte-binary", component="flyte-binary"),
    "webhook": _pod(11, "flyte", name="flyte-webhook"),
    "postgres": _pod(2, "flyte", name="postgres"),
    "minio": _pod(3, "flyte", name="minio"),
    "minio-provision": _pod(4, "flyte", name="minio-provision"),
    "raw-outputs": _pod(5, "flyte", name="flyte-raw-outputs"),
    "another pod beside flyte": _pod(6, "flyte", name="something-else"),
    "task": _pod(7, "remedy-development"),
    "task of another domain": _pod(8, "remedy-production"),
    "pod of another namespace": _pod(9, "media", name="flyte-binary", component="flyte-binary"),
    "dns": _pod(10, "kube-system", name="coredns"),
    "node-local dns": Place("169.254.20.10"),
    "api server": Place("192.168.1.10"),
    "nas": Place("192.168.1.20"),
    "vpn": Place("100.101.102.103"),
    "cloud metadata": Place("169.254.169.254"),
    "internet": Place("104.18.32.7"),
    "internet over ipv6": Place("2606:4700::1"),
}

PORTS = (53, 80, 443, 2049, 5432, 6443, 8088, 8089, 9000, 9443, 10254)

# Source, target and port of the allowed connections; all others must be denied.
OPEN = {
    ("flyte", "postgres", 5432),
    ("flyte", "minio", 9000),
    ("minio-provision", "minio", 9000),
    ("raw-outputs", "flyte", 8088),
    *((task, "minio", 9000) for task in ("task", "task of another domain")),
    *((task, "internet", port) for task in ("task", "task of another domain") for port in PORTS),
    *(
        (pod, dns, 53)
        for pod in ("flyte", "minio-provision", "raw-outputs", "task", "task of another domain")
        for dns in ("dns", "node-local dns")
    ),
    # A policy cannot tell which host is the API server,
    *(("flyte", host, 6443) for host in PLACES if "." in PLACES[host].address and not PLACES[host].namespace),
    ("flyte", "internet over ipv6", 6443),
    ("flyte", "pod of another namespace", 6443),
    ("flyte", "dns", 6443),
    # and neither where its calls to the webhook come from.
    *((source, "webhook", 9443) for source in ("pod of another namespace", "api server", "nas", "internet", "vpn")),
    *((source, "webhook", 9443) for source in ("internet over ipv6", "cloud metadata", "node-local dns", "dns")),
}

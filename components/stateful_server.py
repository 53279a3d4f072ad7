"""A server in one pod that keeps its data: a Service and a StatefulSet of one replica."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.hardening import LABELS, labels
from components.volume import Safekeeping


@dataclass(frozen=True)
class StatefulServer:
    """The two objects, and the host name by which other pods reach them."""

    host: pulumi.Output[str]
    stateful_set: k8s.apps.v1.StatefulSet


def stateful_server(
    name: str,
    namespace: pulumi.Input[str],
    port: tuple[str, int],
    pod: k8s.core.v1.PodSpecArgsDict,
    safekeeping: Safekeeping,
    parent: pulumi.Resource,
) -> StatefulServer:
    """A server called ``name``.

    Args:
        name: of the resources, the objects and the pods' label.
        namespace: where they are.
        port: its name in the pod, and its number.
        pod: the pod.
        safekeeping: whether the StatefulSet is protected.
        parent: the component they belong to.
    """
    service = k8s.core.v1.Service(
        name,
        metadata={
            "name": name,
            "namespace": namespace,
            "labels": LABELS,
            # The StatefulSet's own readiness is waited for.
            "annotations": {"pulumi.com/skipAwait": "true"},
        },
        spec={"selector": labels(name), "ports": [{"name": port[0], "port": port[1], "target_port": port[0]}]},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    stateful_set = k8s.apps.v1.StatefulSet(
        name,
        metadata={"name": name, "namespace": namespace, "labels": labels(name)},
        spec={
            "service_name": service.metadata.name,
            "replicas": 1,
            "selector": {"match_labels": labels(name)},
            "template": {"metadata": {"labels": labels(name)}, "spec": pod},
        },
        opts=pulumi.ResourceOptions(parent=parent, protect=safekeeping.protect),
    )
    return StatefulServer(pulumi.Output.concat(service.metadata.name, ".", namespace, ".svc"), stateful_set)

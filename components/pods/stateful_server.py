"""A server in one pod that keeps its data: a Service and a StatefulSet of one replica."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.pods.labels import LABELS, labels
from components.pods.patience import patience
from components.pods.volume import Safekeeping


@dataclass(frozen=True)
class StatefulServer:
    """A running server."""

    host: pulumi.Output[str]
    """Host name at which other pods reach it."""
    stateful_set: k8s.apps.v1.StatefulSet
    """The StatefulSet, which is ready when the server is."""


def stateful_server(
    name: str,
    namespace: pulumi.Input[str],
    port: tuple[str, int],
    pod: k8s.core.v1.PodSpecArgsDict,
    safekeeping: Safekeeping,
    parent: pulumi.Resource,
) -> StatefulServer:
    """A Service and a StatefulSet of one replica.

    Args:
        name: name of the resources and objects, and value of the pods' label.
        namespace: namespace of the objects.
        port: name of the port in the pod, and its number.
        pod: spec of the pod.
        safekeeping: whether the StatefulSet is protected.
        parent: component the resources belong to.
    """
    service = k8s.core.v1.Service(
        name,
        metadata={
            "name": name,
            "namespace": namespace,
            "labels": LABELS,
            # Pulumi waits for the StatefulSet instead.
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
        opts=pulumi.ResourceOptions.merge(
            pulumi.ResourceOptions(parent=parent, protect=safekeeping.protect), patience()
        ),
    )
    return StatefulServer(pulumi.Output.concat(service.metadata.name, ".", namespace, ".svc"), stateful_set)

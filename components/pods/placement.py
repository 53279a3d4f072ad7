"""Pods on the nodes that the settings choose."""

from __future__ import annotations

from typing import Any

import pulumi_kubernetes as k8s

from settings.placement import Placement, Toleration


def placed(pod: k8s.core.v1.PodSpecArgsDict, placement: Placement) -> k8s.core.v1.PodSpecArgsDict:
    """``pod`` on the nodes of ``placement``.

    A pod without a placement has neither field, so that it is not restarted for an empty one.
    """
    changed = pod.copy()
    if placement.node_selector:
        changed["node_selector"] = dict(placement.node_selector)
    if placement.tolerations:
        changed["tolerations"] = [toleration_fields(toleration) for toleration in placement.tolerations]
    return changed


def placement_values(placement: Placement) -> dict[str, Any]:
    """``placement`` for the ``extraPodSpec`` of a chart."""
    return {
        **({"nodeSelector": dict(placement.node_selector)} if placement.node_selector else {}),
        **(
            {"tolerations": [toleration_fields(toleration) for toleration in placement.tolerations]}
            if placement.tolerations
            else {}
        ),
    }


def toleration_fields(toleration: Toleration) -> k8s.core.v1.TolerationArgsDict:
    """``toleration`` as a pod has it."""
    fields: k8s.core.v1.TolerationArgsDict = {"key": toleration.key, "operator": "Exists"}
    if toleration.value:
        fields |= {"operator": "Equal", "value": toleration.value}
    if toleration.effect:
        fields["effect"] = toleration.effect
    return fields

"""On which nodes of the cluster pods run."""

import re
from typing import Annotated, Any, Literal

import pulumi_kubernetes as k8s
from pydantic import AfterValidator, Field

from components.sizes import Model


def _label_key(value: str) -> str:
    name = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
    if not re.fullmatch(rf"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?{name}", value):
        raise ValueError("is not the key of a label; write it like kubernetes.io/arch")
    return value


def _label_value(value: str) -> str:
    if value and not re.fullmatch("[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", value):
        raise ValueError("is not the value of a label; write it like arm64, and a number or true in quotes")
    return value


LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]


class Toleration(Model):
    """A taint of nodes that does not keep pods away.

    https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
    """

    key: LabelKey = Field(description="Key of the taint.")
    value: LabelValue = Field(default="", description="Its value; empty: any.")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        default="", description="Its effect; empty: all."
    )

    @property
    def fields(self) -> k8s.core.v1.TolerationArgsDict:
        """As Kubernetes writes it."""
        fields: k8s.core.v1.TolerationArgsDict = {"key": self.key, "operator": "Exists"}
        if self.value:
            fields |= {"operator": "Equal", "value": self.value}
        if self.effect:
            fields["effect"] = self.effect
        return fields


class Placement(Model):
    """The nodes on which pods may run; all of them without any of this."""

    node_selector: dict[LabelKey, LabelValue] = Field(
        default={}, description="Labels that a node must have, such as {kubernetes.io/arch: arm64}."
    )
    tolerations: list[Toleration] = Field(default=[], description="Taints that a node may have.")

    def of(self, pod: k8s.core.v1.PodSpecArgsDict) -> k8s.core.v1.PodSpecArgsDict:
        """The pod, on these nodes; unchanged where nothing is said of them, so that none is made anew for it."""
        placed = pod.copy()
        if self.node_selector:
            placed["node_selector"] = dict(self.node_selector)
        if self.tolerations:
            placed["tolerations"] = [toleration.fields for toleration in self.tolerations]
        return placed

    @property
    def values(self) -> dict[str, Any]:
        """The same for the ``extraPodSpec`` of a chart."""
        return {
            **({"nodeSelector": dict(self.node_selector)} if self.node_selector else {}),
            **({"tolerations": [toleration.fields for toleration in self.tolerations]} if self.tolerations else {}),
        }


# No node is better than another.
ANYWHERE = Placement()

"""On which nodes of the cluster pods run."""

from typing import Literal

from settings.annotations import LabelKey, LabelValue
from settings.values import Model


class Toleration(Model):
    """A taint that does not keep pods off a node.

    https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
    """

    key: LabelKey
    """Key of the taint."""
    value: LabelValue = ""
    """Value of the taint; empty: any value."""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    """Effect of the taint; empty: every effect."""


class Placement(Model):
    """The nodes on which pods may run; by default all of them."""

    node_selector: dict[LabelKey, LabelValue] = {}
    """Labels that a node must have, such as {kubernetes.io/arch: arm64}."""
    tolerations: list[Toleration] = []
    """Taints that a node may have."""

"""On which nodes of the cluster pods run."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from settings.values import Model


def _label_key(value: str) -> str:
    name = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
    if not re.fullmatch(rf"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?{name}", value):
        raise ValueError("is not the key of a label; write it like kubernetes.io/arch")
    return value


def _label_value(value: str) -> str:
    if value and not re.fullmatch("[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", value):
        raise ValueError("is not the value of a label; write it like arm64, and quote a number or true")
    return value


LabelKey = Annotated[str, AfterValidator(_label_key)]
"""Key of a label of a Kubernetes object."""
LabelValue = Annotated[str, AfterValidator(_label_value)]
"""Value of a label of a Kubernetes object."""


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

"""What a move of either part begins with: the stack, its state, and what Flyte uses."""

from dataclasses import dataclass
from typing import Self

from ops.lib.move.flyte_config import FlyteInCluster, flyte_in_cluster
from ops.lib.state import State
from ops.lib.volumes import Stack


@dataclass(frozen=True)
class PartOfStack:
    """A part of a stack, as it is deployed."""

    stack: Stack
    state: State
    flyte: FlyteInCluster

    @classmethod
    def of(cls, stack: Stack) -> Self:
        """Return the move to what the settings choose.

        Raises:
            SettingsError: the cluster or Pulumi does not answer, or there is no Flyte.
        """
        state = State.of(stack.environment, stack.name)
        return cls(stack, state, flyte_in_cluster(stack.cluster, stack.settings.namespace))

"""The changes that the engine would make: resource, operation and paths of the properties; never the values."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pulumi import automation as auto

# Kinds of resources. Replacing or deleting one loses data or the only copy of a generated password, or stops Flyte.
HOLDS_DATA = {
    "Namespace",
    "PersistentVolumeClaim",
    "StatefulSet",
    "RandomPassword",
    "CustomResourceDefinition",
    "Release",
    "kubernetes",  # a replaced provider replaces everything it created
}
# Operations that leave a resource as it is, or only update the engine's state.
_NO_CHANGE = {"same", "read", "refresh", "read-discard", "discard"}
_KEEPS = {"create", "update", "import"}
# Markup for colours in the engine's messages.
_COLOUR = re.compile(r"<\{%[^%]*%\}>")


@dataclass(frozen=True)
class Change:
    """A step of the engine that changes a resource."""

    operation: str
    """Operation of the engine, such as ``update`` or ``replace``."""
    urn: str
    properties: tuple[str, ...] = ()
    """Paths of the properties that differ."""

    @property
    def kind(self) -> str:
        """Last part of the type token, such as ``StatefulSet``."""
        return self.urn.split("::")[2].rsplit(":", 1)[-1]

    @property
    def name(self) -> str:
        """Kind and name, such as ``StatefulSet:postgres``."""
        return f"{self.kind}:{self.urn.split('::')[3]}"

    @property
    def loses_data(self) -> bool:
        """Whether the change would lose data or the only copy of a password."""
        # This one provider only reads, see components/cluster/fence.py.
        return self.kind in HOLDS_DATA and self.operation not in _KEEPS and self.name != "kubernetes:cluster-identity"

    @property
    def _is_of_the_cluster(self) -> bool:
        """Whether it is a change to the cluster.

        The stack itself is not. Neither is an updated provider: each machine reaches the cluster in its own way.
        """
        updated_provider = "pulumi:providers:" in self.urn and self.operation == "update"
        return self.kind != "Stack" and not updated_provider


class Changes:
    """A listener for the engine's events; it collects the changes and the error messages."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Change] = {}
        self.errors: list[str] = []

    def __call__(self, event: auto.EngineEvent) -> None:
        # A refresh reports a difference only in the later event; every other operation reports it in the earlier one.
        for step in (event.resource_pre_event, event.res_outputs_event):
            if step:
                self._add(step.metadata)
        diagnostic = event.diagnostic_event
        if diagnostic and diagnostic.severity == "error":
            self.errors.append(_COLOUR.sub("", diagnostic.message).strip())

    def _add(self, step: auto.StepEventMetadata) -> None:
        operation = str(getattr(step.op, "value", step.op))
        change = Change(operation, step.urn, tuple(sorted(step.detailed_diff or step.diffs or [])))
        if operation not in _NO_CHANGE and change._is_of_the_cluster:
            self._found.setdefault((operation, step.urn), change)

    @property
    def all(self) -> list[Change]:
        """All changes, sorted by name."""
        return sorted(self._found.values(), key=lambda change: (change.name, change.operation))


def losses(changes: Iterable[Change]) -> list[Change]:
    """Return the changes that would lose data."""
    return [change for change in changes if change.loses_data]

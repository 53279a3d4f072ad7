"""What the engine would change: which resources, how, and at which properties; never the values."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pulumi import automation as auto

# Replacing or deleting one of these loses data, or the only copy of a generated password, or stops Flyte.
HOLDS_DATA = {
    "Namespace",
    "PersistentVolumeClaim",
    "StatefulSet",
    "RandomPassword",
    "CustomResourceDefinition",
    "Release",
    "kubernetes",  # a replaced provider replaces all that it made
}
# What leaves a resource as it is, or is only about the engine's own notes.
_NO_CHANGE = {"same", "read", "refresh", "read-discard", "discard"}
_KEEPS = {"create", "update", "import"}
# An engine's message may have these around what it colours.
_COLOUR = re.compile(r"<\{%[^%]*%\}>")


@dataclass(frozen=True)
class Change:
    """A step of the engine that changes something."""

    operation: str
    urn: str
    # Paths of the properties that differ.
    properties: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The last part of the type token, such as ``StatefulSet``."""
        return self.urn.split("::")[2].rsplit(":", 1)[-1]

    @property
    def name(self) -> str:
        """Kind and name, such as ``StatefulSet:postgres``."""
        return f"{self.kind}:{self.urn.split('::')[3]}"

    @property
    def loses_data(self) -> bool:
        """Whether data, or the only copy of a password, would be gone after it."""
        # What this one provider is for is only read, see components/cluster/fence.py.
        return self.kind in HOLDS_DATA and self.operation not in _KEEPS and self.name != "kubernetes:cluster-identity"

    @property
    def _is_of_the_cluster(self) -> bool:
        """Not the stack itself, and not a way to the cluster, which is another from another machine."""
        updated_provider = "pulumi:providers:" in self.urn and self.operation == "update"
        return self.kind != "Stack" and not updated_provider


class Changes:
    """Listens to the engine: every change, and what it says when it fails."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Change] = {}
        self.errors: list[str] = []

    def __call__(self, event: auto.EngineEvent) -> None:
        # A refresh says only afterwards whether something is another; everything else already says it before.
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
        """Every change, by name."""
        return sorted(self._found.values(), key=lambda change: (change.name, change.operation))


def losses(changes: Iterable[Change]) -> list[Change]:
    """Those after which data would be gone."""
    return [change for change in changes if change.loses_data]

"""What a run of the program registers: resources with their inputs and options, and the outputs of the stack."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Secret:
    """A secret value, which the engine would encrypt."""

    value: Any


@dataclass
class Resource:
    """A registered resource, as the engine would receive it."""

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    """Inputs, with `Secret` around each secret value."""
    custom: bool
    parent: str
    provider: str
    """URN of the provider; empty for a component, and for a resource of a default provider."""
    dependencies: list[str]
    protect: bool
    retain_on_delete: bool
    ignore_changes: list[str]
    deleted_with: str
    aliases: list[str]
    """URNs of the resource in earlier versions of the program."""
    hooks: dict[str, list[str]]
    """Names of the functions that the engine calls, by step, such as ``before_update``."""
    object_name: str
    """Name of the Kubernetes object as the program received it, so that references fit; empty for anything else."""

    @property
    def plain(self) -> dict[str, Any]:
        """Inputs with secret values as plain values."""
        return dict(map_secrets(self.inputs, lambda value: value))

    @property
    def kind(self) -> str:
        """Last part of the type token, such as ``StatefulSet``."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def is_manifest(self) -> bool:
        """Whether this is a Kubernetes object that the program itself describes."""
        return self.custom and "apiVersion" in self.inputs and "kind" in self.inputs

    @property
    def manifest(self) -> dict[str, Any]:
        """The Kubernetes object with its final name and with secret values still marked."""
        found = dict(self.inputs)
        found["metadata"] = {**found.get("metadata", {}), "name": self.object_name}
        return dict(_extensions(found))


@dataclass
class Recording:
    """Everything that a run of the program registered, in order."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str, name: str | None = None) -> list[Resource]:
        """Return the resources of a kind, and of a name if one is given."""
        return [found for found in self.resources if found.kind == kind and name in (None, found.name)]

    def one(self, kind: str, name: str | None = None) -> Resource:
        """Return the only resource of a kind and name.

        Raises:
            ValueError: there is none, or more than one.
        """
        (found,) = self.of(kind, name)
        return found

    def by_urn(self, urn: str) -> Resource:
        """Return the resource that a dependency, parent or provider refers to."""
        (found,) = [found for found in self.resources if found.urn == urn]
        return found


def map_secrets(value: Any, change: Any) -> Any:
    """Return ``value`` with each `Secret` in it replaced by the result of ``change`` for its content."""
    if isinstance(value, Secret):
        return change(value.value)
    if isinstance(value, Mapping):
        return {key: map_secrets(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [map_secrets(item, change) for item in value]
    return value


def _extensions(value: Any) -> Any:
    """Return ``value`` with the keys ``x-kubernetes-…`` of OpenAPI, which the provider spells with underscores."""
    if isinstance(value, Mapping):
        return {
            key.replace("_", "-") if key.startswith("x_kubernetes_") else key: _extensions(item)
            for key, item in value.items()
        }
    return [_extensions(item) for item in value] if isinstance(value, list) else value

"""Secret groups that tasks ask Flyte for."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.pods import LABELS

SecretValues = Mapping[str, Mapping[str, pulumi.Input[str]]]
"""Values of one secret group, by namespace and key."""


@dataclass(frozen=True)
class TaskSecretArgs:
    """The values of one group, which may differ from namespace to namespace."""

    group: str
    """Name of the group, and of the Kubernetes Secret in every namespace."""
    namespaces: Mapping[str, pulumi.Input[str]]
    """All task namespaces by name. A Secret waits for its own namespace."""
    values: SecretValues
    """Values by namespace and key."""
    requires: Sequence[pulumi.Resource]
    """Resources that must exist before the values are of any use."""


class TaskSecret(pulumi.ComponentResource):
    """The Kubernetes Secret ``group`` in each of the given namespaces.

    A task that requests ``Secret(group=..., key=...)`` as a file finds it at ``/etc/flyte/secrets/<group>/<key>``:
    Flyte's webhook mounts the Secret of that name from the pod's own namespace
    (https://docs-legacy.flyte.org/en/latest/user_guide/productionizing/secrets.html).
    A new value changes the Secrets in place; the next task pod gets it.
    """

    def __init__(self, name: str, args: TaskSecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:TaskSecret", name, None, opts)
        for namespace, values in args.values.items():
            k8s.core.v1.Secret(
                f"{name}-{namespace}",
                metadata={"name": args.group, "namespace": args.namespaces[namespace], "labels": LABELS},
                type="Opaque",
                # `data` rather than `stringData`: with server-side apply, a key removed from stringData would remain.
                data={key: pulumi.Output.secret(value).apply(_base64) for key, value in values.items()},
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.requires]),
            )
        self.register_outputs({})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

"""Volume claims that outlive their pods, and what protects data from deletion."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.pods.labels import LABELS
from settings.quantities import Volume


@dataclass(frozen=True)
class Safekeeping:
    """What protects data from deletion."""

    protect: bool
    """Whether Pulumi refuses to delete what holds the data or gives access to it."""
    keep: bool
    """Whether destroy leaves the volumes, and their namespace, in the cluster."""

    def options(
        self, parent: pulumi.Resource | None, provider: pulumi.ProviderResource | None = None
    ) -> pulumi.ResourceOptions:
        """Options of a volume, or of the namespace with the volumes."""
        return pulumi.ResourceOptions(
            parent=parent, provider=provider, protect=self.protect, retain_on_delete=self.keep
        )


def volume_claim(
    name: str,
    namespace: pulumi.Input[str],
    volume: Volume,
    safekeeping: Safekeeping,
    parent: pulumi.Resource,
    untouched: bool = False,
) -> k8s.core.v1.PersistentVolumeClaim:
    """A claim named ``name`` for ``volume``.

    It is not a template of the StatefulSet, so that Pulumi can protect, grow and delete it. An ``untouched`` one keeps
    its size and class, whatever ``volume`` says, and stays in the cluster when it is no longer declared.
    """
    opts = safekeeping.options(parent)
    if untouched:
        opts.ignore_changes, opts.retain_on_delete = ["spec"], True
    return k8s.core.v1.PersistentVolumeClaim(
        name,
        metadata={
            "name": name,
            "namespace": namespace,
            "labels": LABELS,
            # Classes such as k3s's local-path bind a claim only when a pod uses it.
            "annotations": {"pulumi.com/skipAwait": "true"},
        },
        spec={
            "access_modes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": volume.size}},
            **({"storage_class_name": volume.storage_class} if volume.storage_class else {}),
        },
        opts=opts,
    )

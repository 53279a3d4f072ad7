"""Volume claims that outlive their pods, and how data is kept from being deleted."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.hardening import LABELS
from components.sizes import Volume


@dataclass(frozen=True)
class Safekeeping:
    """What stands between data and its deletion."""

    # Whether Pulumi refuses to delete what holds or opens the data.
    protect: bool
    # Whether destroy leaves the volumes, and the namespace they are in, in the cluster.
    keep: bool

    def options(
        self, parent: pulumi.Resource | None, provider: pulumi.ProviderResource | None = None
    ) -> pulumi.ResourceOptions:
        """Options of a volume, or of the namespace with the volumes."""
        return pulumi.ResourceOptions(
            parent=parent, provider=provider, protect=self.protect, retain_on_delete=self.keep
        )


def volume_claim(
    name: str, namespace: pulumi.Input[str], volume: Volume, safekeeping: Safekeeping, parent: pulumi.Resource
) -> k8s.core.v1.PersistentVolumeClaim:
    """A claim named ``name`` for ``volume``.

    A claim of its own rather than a template of the StatefulSet, so that Pulumi sees it: it can be protected, grown
    and deleted.
    """
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
        opts=safekeeping.options(parent),
    )

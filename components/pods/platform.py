"""What all parts of the stack share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.pods.placement import placed
from components.pods.pull_secret import with_pull_secrets
from components.pods.volume import Safekeeping
from settings.images import Image
from settings.placement import Placement


@dataclass(frozen=True)
class Platform:
    """Where the parts of the stack run, and from what."""

    namespace: pulumi.Input[str]
    """Namespace of Flyte, Postgres and the object store, known once it exists."""
    cluster_provider: pulumi.ProviderResource
    """Provider for cluster-wide objects and for namespaces. It takes over nothing that already exists."""
    images: Mapping[str, Image]
    """Container images by name."""
    placement: Placement
    """Nodes for the pods."""
    safekeeping: Safekeeping
    """What protects the data from deletion."""
    pull_secrets: Sequence[pulumi.Input[str]] = ()
    """Names of the Secrets with which the cluster pulls the images; without a login at a registry there is none."""

    def pod(self, spec: k8s.core.v1.PodSpecArgsDict) -> k8s.core.v1.PodSpecArgsDict:
        """The pod ``spec`` on the nodes for the stack, with the logins for its images."""
        return with_pull_secrets(placed(spec, self.placement), self.pull_secrets)

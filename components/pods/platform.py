"""What all parts of the stack share."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

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

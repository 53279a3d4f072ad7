"""The namespace of Flyte, Postgres and the object store."""

from __future__ import annotations

import pulumi_kubernetes as k8s

from components.cluster.fence import ClusterFence
from components.pods import Safekeeping, namespace_labels


def platform_namespace(name: str, safekeeping: Safekeeping, fence: ClusterFence) -> k8s.core.v1.Namespace:
    """The namespace ``name``, in which no pod may have more rights than *restricted* allows.

    A namespace that an earlier destroy kept is taken over. Any other existing namespace is rejected.
    """
    provider = fence.contents if safekeeping.keep else fence.provider
    return k8s.core.v1.Namespace(
        name,
        metadata={"name": name, "labels": namespace_labels("restricted")},
        opts=safekeeping.options(None, provider),
    )

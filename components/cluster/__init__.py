"""The cluster: the fence against the wrong one, and the namespace of the platform."""

from components.cluster.fence import ClusterFence, ClusterFenceArgs
from components.cluster.kubeconfig import find_kubeconfig, known_contexts
from components.cluster.platform_namespace import platform_namespace

__all__ = ["ClusterFence", "ClusterFenceArgs", "find_kubeconfig", "known_contexts", "platform_namespace"]

"""Connections: network policies inside the cluster, the ingress, and the addresses that the stack outputs."""

from components.network.ingress import Ingress, IngressArgs
from components.network.outputs import stack_outputs
from components.network.policies import NetworkPolicies, NetworkPoliciesArgs

__all__ = ["Ingress", "IngressArgs", "NetworkPolicies", "NetworkPoliciesArgs", "stack_outputs"]

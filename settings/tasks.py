"""Task pods: what they get, what they may ask for, and what they may do."""

from typing import Any, Literal

from pydantic import Field

from settings.egress import Egress
from settings.placement import Placement
from settings.quantities import Amount, Resources, Storage, check_order
from settings.values import Model, SecretName

PodSecurityLevel = Literal["privileged", "baseline", "restricted"]
"""Pod Security levels, from the one that allows most to the one that allows least.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

HARMLESS_VOLUMES = ("configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret")
"""Types of volumes that every task pod may have: they reach nothing outside its namespace."""
VolumeType = Literal["csi", "ephemeral", "fc", "hostPath", "image", "iscsi", "nfs"]
"""Types of volumes that a project may list. The node mounts most of them, past every network policy.

Other types were removed from Kubernetes, or are replaced by a claim
(https://kubernetes.io/docs/concepts/storage/volumes/).
"""


class Quota(Model):
    """The most that all pods of one task namespace may ask for together."""

    enabled: bool = True
    """Whether there is a quota. Without one, one project can use all of the cluster."""
    pods: int = Field(default=50, ge=1, le=10000)
    """Pods at one time."""
    requests: Amount = Amount(cpu="4", memory="8Gi")
    """Sum of the requests."""
    limits: Amount = Amount(cpu="32", memory="16Gi")
    """Sum of the limits."""
    ephemeral_storage: Storage = "200Gi"
    """Sum of the limits of ephemeral storage: logs, root file systems and scratch volumes."""
    claims: int = Field(default=10, ge=0, le=10000)
    """PersistentVolumeClaims."""
    storage: Storage = "100Gi"
    """Sum of the storage that PersistentVolumeClaims ask for."""

    def model_post_init(self, _context: Any) -> None:
        check_order(requests=self.requests, limits=self.limits)

    @property
    def by_name(self) -> dict[str, str]:
        """The hard limits of a ResourceQuota, by the names Kubernetes has for them."""
        return {
            "pods": str(self.pods),
            **{f"requests.{name}": amount for name, amount in self.requests.by_name.items()},
            **{f"limits.{name}": amount for name, amount in self.limits.by_name.items()},
            "limits.ephemeral-storage": self.ephemeral_storage,
            "persistentvolumeclaims": str(self.claims),
            "requests.storage": self.storage,
        }


class TaskSettings(Model):
    """What task pods get by default, what they may ask for, and what a task namespace may use."""

    requests: Amount = Amount(cpu="100m", memory="256Mi")
    """Requests of a task that sets none."""
    limits: Amount = Amount(cpu="2", memory="1Gi")
    """Limits of a task that sets none."""
    maximum: Amount = Amount(cpu="4", memory="8Gi")
    """The most that one task may ask for."""
    quota: Quota = Quota()
    """The most that all pods of one task namespace may ask for together."""
    pod_security: PodSecurityLevel = "baseline"
    """Pod Security level that the task namespaces enforce."""
    lowest_pod_security: PodSecurityLevel = "privileged"
    """The lowest level that a project may ask for, with a reason."""
    egress: Egress = Egress()
    """What task pods may connect to besides DNS and the object store."""
    ephemeral_storage: Storage = "4Gi"
    """Ephemeral storage that a container of a task may use if it sets no limit; with more, its pod is evicted."""
    priority_classes: list[SecretName] = []
    """Priority classes that task pods may have, such as a default class of the cluster."""
    placement: Placement = Placement()
    """Nodes for task pods whose tasks choose none."""

    def model_post_init(self, _context: Any) -> None:
        check_order(requests=self.requests, limits=self.limits, maximum=self.maximum)

    @property
    def resources(self) -> Resources:
        """Requests and limits of a task that sets none."""
        return Resources(requests=self.requests, limits=self.limits)

"""What every pod of the stack has in common: who runs it, what it may do, and the labels by which it is found."""

from typing import Any, Literal

import pulumi_kubernetes as k8s

from components.sizes import Resources

# From the most to the least that a pod may do (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
PodSecurityLevel = Literal["privileged", "baseline", "restricted"]
# The label by which the pods of a workload are found; the charts' too.
NAME = "app.kubernetes.io/name"
LABELS = {"app.kubernetes.io/part-of": "flyte-home", "app.kubernetes.io/managed-by": "pulumi"}


def labels(name: str) -> dict[str, str]:
    """The recommended labels of Kubernetes for the workload ``name``."""
    return {NAME: name, **LABELS}


def pod_security(user: int) -> k8s.core.v1.PodSecurityContextArgsDict:
    """The Pod Security level *restricted* for a pod whose processes and volumes belong to ``user``."""
    return {
        "run_as_non_root": True,
        "run_as_user": user,
        "run_as_group": user,
        "fs_group": user,
        # A large volume is not walked through on every start, only when its root does not belong to the group.
        "fs_group_change_policy": "OnRootMismatch",
        "seccomp_profile": {"type": "RuntimeDefault"},
    }


def container_security() -> k8s.core.v1.SecurityContextArgsDict:
    """No way to more rights, and nothing writable but the mounted volumes."""
    return {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def resources(amounts: Resources) -> k8s.core.v1.ResourceRequirementsArgsDict:
    """Requests and limits of a container."""
    return {"requests": amounts.requests.by_name, "limits": amounts.limits.by_name}


def empty_dir(name: str, size: str) -> k8s.core.v1.VolumeArgsDict:
    """A scratch volume of at most ``size``, gone with the pod."""
    return {"name": name, "empty_dir": {"size_limit": size}}


def namespace_labels(level: PodSecurityLevel, **more: str) -> dict[str, Any]:
    """Labels of a namespace that enforces the Pod Security ``level`` and warns about *restricted*."""
    return {
        **LABELS,
        "pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/warn": "restricted",
        **more,
    }

"""How every pod of the stack is restricted: its user, its rights, its resources and its scratch space."""

from __future__ import annotations

import pulumi_kubernetes as k8s

from settings.quantities import Resources


def pod_security(user: int) -> k8s.core.v1.PodSecurityContextArgsDict:
    """The Pod Security level *restricted* for a pod whose processes and volumes belong to ``user``."""
    return {
        "run_as_non_root": True,
        "run_as_user": user,
        "run_as_group": user,
        "fs_group": user,
        # Do not walk through a large volume at every start, only if its root does not belong to the group.
        "fs_group_change_policy": "OnRootMismatch",
        "seccomp_profile": {"type": "RuntimeDefault"},
    }


def container_security() -> k8s.core.v1.SecurityContextArgsDict:
    """No privilege escalation, and only the mounted volumes are writable."""
    return {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def resources(amounts: Resources) -> k8s.core.v1.ResourceRequirementsArgsDict:
    """Requests and limits of a container."""
    return {"requests": amounts.requests.by_name, "limits": amounts.limits.by_name}


def empty_dir(name: str, size: str) -> k8s.core.v1.VolumeArgsDict:
    """A scratch volume of at most ``size``, deleted with its pod."""
    return {"name": name, "empty_dir": {"size_limit": size}}

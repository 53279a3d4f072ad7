"""What every pod of the stack has in common: who runs it, what it may do, and the labels by which it is found."""

from typing import Any

import pulumi_kubernetes as k8s

from components.sizes import Resources

LABELS = {"app.kubernetes.io/part-of": "flyte-home", "app.kubernetes.io/managed-by": "pulumi"}


def labels(name: str) -> dict[str, str]:
    """The recommended labels of Kubernetes for the workload ``name``."""
    return {"app.kubernetes.io/name": name, **LABELS}


def pod_security(user: int) -> k8s.core.v1.PodSecurityContextArgs:
    """The Pod Security level *restricted* for a pod whose processes and volumes belong to ``user``."""
    return k8s.core.v1.PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=user,
        run_as_group=user,
        fs_group=user,
        # A large volume is not walked through on every start, only when its root does not belong to the group.
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=k8s.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
    )


def container_security() -> k8s.core.v1.SecurityContextArgs:
    """No way to more rights, and nothing writable but the mounted volumes."""
    return k8s.core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        capabilities=k8s.core.v1.CapabilitiesArgs(drop=["ALL"]),
    )


def resources(amounts: Resources) -> k8s.core.v1.ResourceRequirementsArgs:
    """Requests and limits of a container."""
    return k8s.core.v1.ResourceRequirementsArgs(requests=amounts.requests.by_name, limits=amounts.limits.by_name)


def empty_dir(name: str, size: str) -> k8s.core.v1.VolumeArgs:
    """A scratch volume of at most ``size``, gone with the pod."""
    return k8s.core.v1.VolumeArgs(name=name, empty_dir=k8s.core.v1.EmptyDirVolumeSourceArgs(size_limit=size))


def namespace_labels(level: str, **more: str) -> dict[str, Any]:
    """Labels of a namespace that enforces the Pod Security ``level`` and warns about *restricted*."""
    return {
        **LABELS,
        "pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/warn": "restricted",
        **more,
    }

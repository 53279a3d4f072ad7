"""Labels of the stack's objects."""

from settings.tasks import PodSecurityLevel

NAME = "app.kubernetes.io/name"
"""Label that identifies the pods of a workload; charts use it as well."""
LABELS = {"app.kubernetes.io/part-of": "flyte-home", "app.kubernetes.io/managed-by": "pulumi"}
"""Labels of every object of the stack."""


def labels(name: str) -> dict[str, str]:
    """The labels that Kubernetes recommends, for the workload ``name``."""
    return {NAME: name, **LABELS}


def namespace_labels(level: PodSecurityLevel, **more: str) -> dict[str, str]:
    """Labels of a namespace that enforces the Pod Security ``level`` and warns about violations of *restricted*."""
    return {
        **LABELS,
        "pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/warn": "restricted",
        **more,
    }

"""How the short-lived pods of commands are restricted, as Pod Security *restricted* requires."""

from collections.abc import Sequence

from components.pods import placement_values
from ops.lib.workloads import Object
from settings import Settings

_UID = 65534
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""Security context of each of their containers."""


def restricted_spec(settings: Settings, containers: Sequence[Object], volumes: Sequence[Object]) -> Object:
    """Return the spec of a pod without rights, on the nodes that the settings choose, that runs once.

    Args:
        settings: settings of the stack.
        containers: containers with `CONTAINER_SECURITY`; all but the last run before it, one after the other.
        volumes: volumes of the pod.
    """
    identity = {"runAsNonRoot": True, "runAsUser": _UID, "runAsGroup": _UID, "fsGroup": _UID}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": {**identity, "seccompProfile": {"type": "RuntimeDefault"}},
        **({"initContainers": list(containers[:-1])} if len(containers) > 1 else {}),
        "containers": list(containers[-1:]),
        "volumes": list(volumes),
        **placement_values(settings.placement),
    }

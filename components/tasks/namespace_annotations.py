"""Annotations of the task namespaces, in which the policy for task pods reads what a project may have.

Only someone who may change namespaces can change them, which neither Flyte nor a task may. Values that are lists are
separated by spaces.
"""

from settings.projects import TaskScope

REASON = "flyte-home/pod-security-reason"
"""Why the Pod Security level differs from the stack's."""
SECRETS = "flyte-home/secrets"
"""Secrets that pods may show to their containers."""
VOLUMES = "flyte-home/volume-types"
"""Types of volumes that pods may have besides the harmless ones."""
TOKEN = "flyte-home/service-account-token"  # noqa: S105 (a name)
"""Present if pods may have a service account token."""
SERVICE_ACCOUNTS = "flyte-home/service-accounts"
"""Further service accounts with which pods may run."""
PRIORITY_CLASSES = "flyte-home/priority-classes"
"""Priority classes that pods may have."""
SIDECARS = "flyte-home/sidecars"
"""Images of containers that the webhook adds to pods, and that do not rule out privilege escalation."""


def of_namespace(scope: TaskScope) -> dict[str, str]:
    """The annotations of a scope's namespace."""
    lists = {
        SECRETS: scope.secrets,
        VOLUMES: scope.volume_types,
        SERVICE_ACCOUNTS: scope.service_accounts,
        PRIORITY_CLASSES: scope.priority_classes,
        SIDECARS: scope.sidecars,
    }
    return {
        **({REASON: scope.pod_security_reason} if scope.pod_security_reason else {}),
        **{name: " ".join(values) for name, values in lists.items() if values},
        **({TOKEN: "true"} if scope.service_account_token else {}),
    }

"""Everything that tasks get: their namespaces, their secrets, and the policy for their pods."""

from components.tasks.names import POD_TEMPLATE, SERVICE_ACCOUNT
from components.tasks.project_namespaces import ProjectNamespaces, ProjectNamespacesArgs
from components.tasks.task_pod_policy import POLICY_NAME, TaskPodPolicy, TaskPodPolicyArgs
from components.tasks.task_secret import SecretValues, TaskSecret, TaskSecretArgs

__all__ = [
    "POD_TEMPLATE",
    "POLICY_NAME",
    "SERVICE_ACCOUNT",
    "ProjectNamespaces",
    "ProjectNamespacesArgs",
    "SecretValues",
    "TaskPodPolicy",
    "TaskPodPolicyArgs",
    "TaskSecret",
    "TaskSecretArgs",
]

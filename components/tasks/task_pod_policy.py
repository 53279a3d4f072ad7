"""The admission policy against task pods that would show Flyte's own files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.pods import LABELS, Platform

POLICY_NAME = "flyte-home-task-secrets"
"""Name of the policy and of its binding."""
# Names of environment variables that Kubernetes allowed before version 1.32 (https://kep.k8s.io/4369).
_NAME_PATTERN = "^[-._a-zA-Z][-._a-zA-Z0-9]*$"
_MESSAGE = "a task asked for a secret whose group or key is no name; it may have letters, digits, '-', '_' and '.' only"


@dataclass(frozen=True)
class TaskPodPolicyArgs:
    """Which pods the policy checks."""

    platform: Platform
    task_namespaces: Sequence[str] | None
    """Names of the task namespaces; None: all pods that Flyte labels, for a Flyte that creates namespaces itself."""


class TaskPodPolicy(pulumi.ComponentResource):
    """Rejects task pods that would show files of Flyte's own pod.

    Flyte's webhook looks for a secret first among its own files, at ``/etc/secrets/GROUP/KEY``, and follows ``..`` in
    both. A task that asks for the group ``../flyte/config.d`` and the key ``202-database.yaml`` would get the
    password of the database as an environment variable, and likewise the token of Flyte's service account
    (https://github.com/flyteorg/flyte/blob/v1.16.8/flytepropeller/pkg/controller/nodes/task/secretmanager/secrets.go).
    The variable is named after group and key, so the API server recognizes it after the webhook has changed the pod.
    """

    def __init__(self, name: str, args: TaskPodPolicyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:TaskPodPolicy", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, provider=args.platform.cluster_provider)
        policy = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            name,
            metadata={"name": POLICY_NAME, "labels": LABELS},
            spec={
                "failure_policy": "Fail",
                "match_constraints": {
                    "resource_rules": [
                        {
                            "api_groups": [""],
                            "api_versions": ["v1"],
                            "operations": ["CREATE"],
                            "resources": ["pods"],
                        }
                    ]
                },
                "variables": [
                    {
                        "name": "containers",
                        "expression": "object.spec.containers + "
                        "(has(object.spec.initContainers) ? object.spec.initContainers : [])",
                    }
                ],
                "validations": [
                    {
                        "expression": "variables.containers.all(container, !has(container.env) || "
                        f"container.env.all(variable, variable.name.matches('{_NAME_PATTERN}')))",
                        "message": _MESSAGE,
                    }
                ],
            },
            opts=child,
        )
        # All namespaces, if Flyte creates them itself.
        resources: k8s.admissionregistration.v1.MatchResourcesArgsDict = {
            "object_selector": {"match_labels": {"inject-flyte-secrets": "true"}}
        }
        if args.task_namespaces is not None:
            resources = {
                "namespace_selector": {
                    "match_expressions": [
                        {
                            "key": "kubernetes.io/metadata.name",
                            "operator": "In",
                            "values": sorted(args.task_namespaces),
                        }
                    ]
                }
            }
        k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            name,
            metadata={"name": POLICY_NAME, "labels": LABELS},
            spec={"policy_name": policy.metadata.name, "validation_actions": ["Deny"], "match_resources": resources},
            opts=child,
        )
        self.register_outputs({})

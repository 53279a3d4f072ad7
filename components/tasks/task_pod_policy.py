"""The admission policy for pods in the task namespaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import pulumi
import pulumi_kubernetes as k8s

from components.pods import LABELS, Platform
from components.tasks import namespace_annotations
from components.tasks.names import SERVICE_ACCOUNT
from settings.tasks import HARMLESS_VOLUMES, VolumeType

POLICY_NAME = "flyte-home-task-pods"
"""Name of the policy and of its binding."""


def _of_type(volume: str, types: Sequence[str]) -> str:
    return " || ".join(f"has({volume}.{name})" for name in types)


_LISTED = " || ".join(f"('{name}' in variables.volumeTypes && has(v.{name}))" for name in get_args(VolumeType))
# The projects differ only in the annotations of their namespaces, so that one policy is enough for all of them.
_VARIABLES = {
    "annotations": "has(namespaceObject.metadata.annotations) ? namespaceObject.metadata.annotations : {}",
    **{
        name: f"'{key}' in variables.annotations ? variables.annotations['{key}'].split(' ') : []"
        for name, key in {
            "secrets": namespace_annotations.SECRETS,
            "volumeTypes": namespace_annotations.VOLUMES,
            "accounts": namespace_annotations.SERVICE_ACCOUNTS,
            "priorities": namespace_annotations.PRIORITY_CLASSES,
            "sidecars": namespace_annotations.SIDECARS,
        }.items()
    },
    "token": f"'{namespace_annotations.TOKEN}' in variables.annotations",
    "privileged": "has(namespaceObject.metadata.labels) && "
    "'pod-security.kubernetes.io/enforce' in namespaceObject.metadata.labels && "
    "namespaceObject.metadata.labels['pod-security.kubernetes.io/enforce'] == 'privileged'",
    "containers": "object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : [])",
    "volumes": "has(object.spec.volumes) ? object.spec.volumes : []",
    "projected": "variables.volumes.filter(v, has(v.projected) && has(v.projected.sources))",
    "environment": "variables.containers.filter(c, has(c.env))",
    "account": "has(object.spec.serviceAccountName) ? object.spec.serviceAccountName : ''",
    "priority": "has(object.spec.priorityClassName) ? object.spec.priorityClassName : ''",
    # Every Secret that the pod would show to its containers. Names are joined and split, because CEL has no function
    # that flattens lists in every supported version of Kubernetes.
    "wanted": "(variables.volumes.filter(v, has(v.secret)).map(v, v.secret.secretName)"
    " + variables.projected.map(v, v.projected.sources.filter(s, has(s.secret)).map(s, s.secret.name).join(' '))"
    " + variables.environment.map(c, c.env.filter(e, has(e.valueFrom) && has(e.valueFrom.secretKeyRef))"
    ".map(e, e.valueFrom.secretKeyRef.name).join(' '))"
    " + variables.containers.filter(c, has(c.envFrom)).map(c, c.envFrom.filter(e, has(e.secretRef))"
    ".map(e, e.secretRef.name).join(' '))).join(' ').split(' ').filter(name, name != '')",
    "foreign": "variables.wanted.filter(name, !(name in variables.secrets))",
    "unlisted": f"variables.volumes.filter(v, !({_of_type('v', HARMLESS_VOLUMES)} || {_LISTED})).map(v, v.name)",
}
_SETTING = "flyte-home:projects[].{}"
_NO_ACCOUNT = "!has(s.serviceAccountToken)"
# Each expression with the end of its message, which says how the owner of the stack may allow what is rejected.
_VALIDATIONS: Sequence[tuple[str, str, str]] = (
    (
        "variables.foreign.size() == 0",
        "'the project has no Secret ' + variables.foreign.join(', ')",
        f"name it in {_SETTING.format('taskSecrets')} or {_SETTING.format('existingSecrets')}",
    ),
    (
        "variables.unlisted.size() == 0",
        "'it has a volume of a type that the project does not have: ' + variables.unlisted.join(', ')",
        f"name the type in {_SETTING.format('volumeTypes')}",
    ),
    (
        f"variables.token || variables.projected.all(v, v.projected.sources.all(s, {_NO_ACCOUNT}))",
        "'it has a service account token'",
        f"set {_SETTING.format('serviceAccountToken')}",
    ),
    (
        "variables.projected.all(v, v.projected.sources.all(s, "
        + _of_type("s", ("configMap", "downwardAPI", "secret", "serviceAccountToken"))
        + "))",
        "'it has a projected volume of a source other than a ConfigMap, a Secret, its own fields or a token'",
        "leave it out",
    ),
    (
        f"variables.account == '{SERVICE_ACCOUNT}' || variables.account in variables.accounts",
        "'it has the service account ' + variables.account",
        f"leave it out, or name it in {_SETTING.format('serviceAccounts')}",
    ),
    (
        "variables.priority == '' || variables.priority in variables.priorities",
        "'it has the priority class ' + variables.priority",
        "leave it out, or name it in flyte-home:tasks.priorityClasses",
    ),
    ("!has(object.spec.nodeName) || object.spec.nodeName == ''", "'it names its node'", "use a node selector"),
    (
        "variables.privileged || variables.containers.all(c, c.image in variables.sidecars || "
        "(has(c.securityContext) && has(c.securityContext.allowPrivilegeEscalation) && "
        "!c.securityContext.allowPrivilegeEscalation))",
        "'a container does not set allowPrivilegeEscalation: false'",
        f"set it, or give the project {_SETTING.format('podSecurity')} privileged",
    ),
)


@dataclass(frozen=True)
class TaskPodPolicyArgs:
    """Which pods the policy checks."""

    platform: Platform
    task_namespaces: Sequence[str]
    """Names of the task namespaces."""
    audience: str = ""
    """Audience of a service account token that every task pod may have; empty: none."""


class TaskPodPolicy(pulumi.ComponentResource):
    """Limits what a pod in a task namespace may be, beyond its Pod Security level.

    Everyone who reaches Flyte's API chooses the pods of tasks. *baseline* leaves them volumes that the node mounts past
    every network policy, tokens for any audience, priority classes that evict everything else, and the choice of a node
    (https://kubernetes.io/docs/concepts/security/pod-security-standards/). A pod may show only those Secrets to its
    containers that its project asks for.

    What a project may have in addition is in the annotations of its namespaces, see ``namespace_annotations``.
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
                "variables": [{"name": name, "expression": text} for name, text in _VARIABLES.items()],
                "validations": [
                    {
                        "expression": expression.replace(_NO_ACCOUNT, _no_token_but(args.audience)),
                        "message_expression": f"'the stack allows no such task pod: ' + {found} + '; {remedy}'",
                    }
                    for expression, found, remedy in _VALIDATIONS
                ],
            },
            opts=child,
        )
        k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            name,
            metadata={"name": POLICY_NAME, "labels": LABELS},
            spec={
                "policy_name": policy.metadata.name,
                "validation_actions": ["Deny"],
                "match_resources": {
                    "namespace_selector": {
                        "match_expressions": [
                            {
                                "key": "kubernetes.io/metadata.name",
                                "operator": "In",
                                "values": sorted(args.task_namespaces),
                            }
                        ]
                    }
                },
            },
            opts=child,
        )
        self.register_outputs({})


def _no_token_but(audience: str) -> str:
    """The expression for a source of a projected volume that is no token, or one for this audience."""
    if not audience:
        return _NO_ACCOUNT
    source = "s.serviceAccountToken"
    return f"({_NO_ACCOUNT} || (has({source}.audience) && {source}.audience == '{audience}'))"

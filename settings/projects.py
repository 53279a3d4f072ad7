"""Flyte projects, and what each of them gets in each domain."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from settings.credentials import PlainText
from settings.egress import Egress
from settings.messages.shown import shown
from settings.quantities import StorageLimit
from settings.tasks import PodSecurityLevel, Quota, VolumeType
from settings.values import Label, Model, SecretName


class ProjectPodSecurity(Model):
    """The Pod Security level of one project."""

    enforce: PodSecurityLevel
    """Level that the project's namespaces enforce."""
    reason: PlainText = Field(default="", max_length=1000)
    """Why; required if the level is lower than flyte-home:tasks.podSecurity."""


class Project(Model):
    """A Flyte project: registered in Flyte, with a namespace in each domain."""

    name: Label
    """Name of the project in Flyte."""
    description: PlainText = Field(default="", max_length=300)
    """Description that the console shows."""
    task_secrets: list[str] = []
    """Groups of flyte-home:taskSecrets that the project's tasks ask for."""
    existing_secrets: list[SecretName] = []
    """Secrets that something else creates in the project's namespaces, and that its tasks ask for too."""
    quota: Quota | None = None
    """Quota that replaces flyte-home:tasks.quota."""
    pod_security: ProjectPodSecurity | None = None
    """Level that replaces flyte-home:tasks.podSecurity, with the reason."""
    run_as_user: int = Field(default=1000, ge=0, le=65535)
    """User of the project's task pods. flytekit's own image has 1000; 0, root, is for images that need it."""
    egress: Egress | None = None
    """Egress that replaces flyte-home:tasks.egress."""
    service_account_token: bool = False
    """Whether the project's task pods get a token for the Kubernetes API and may connect to it."""
    service_accounts: list[SecretName] = []
    """Further service accounts of the project's namespaces with which its task pods may run."""
    volume_types: list[VolumeType] = []
    """Types of volumes that the project's task pods may have besides claims, Secrets, ConfigMaps and scratch space."""
    bucket_quota: StorageLimit = ""
    """The most that each bucket of the project may hold, in place of flyte-home:minio.bucketQuota."""
    gpus: int = Field(default=0, ge=0, le=1000)
    """GPUs that all pods of each of the project's namespaces may request together; 0: none."""


@dataclass(frozen=True)
class TaskScope:
    """One project in one domain: everything its tasks get."""

    project: str
    """Flyte's name of the project."""
    domain: str
    """Flyte's name of the domain."""
    namespace: str
    """Name of the task namespace."""
    bucket: str
    """Name of the bucket for task data."""
    quota: Quota
    """Quota of the namespace."""
    pod_security: PodSecurityLevel
    """Pod Security level that the namespace enforces."""
    pod_security_reason: str
    """Why the level differs from the stack's; empty if it does not."""
    run_as_user: int
    """User and group of task pods; 0 is root."""
    service_account_token: bool
    """Whether task pods get a token for the Kubernetes API."""
    egress: Egress
    """What task pods may connect to."""
    bucket_quota: str
    """The most that the bucket may hold; empty: no limit."""
    secrets: Sequence[str]
    """Secrets of the namespace that task pods may show to their containers."""
    volume_types: Sequence[str]
    """Types of volumes that task pods may have besides the harmless ones."""
    service_accounts: Sequence[str]
    """Further service accounts with which task pods may run."""
    priority_classes: Sequence[str]
    """Priority classes that task pods may have."""
    sidecars: Sequence[str]
    """Images of containers that the webhook adds to task pods."""
    devices: Mapping[str, str]
    """What the quota of the namespace has for GPUs; empty if no project has any."""
    runtime_class: str
    """RuntimeClass of task pods; empty: the default of the cluster."""

    @property
    def metadata_prefix(self) -> str:
        """Prefix of all objects that Flyte keeps in its own bucket for executions of this project and domain.

        Flyte joins the two with a hyphen, so ``a-b`` in ``c`` and ``a`` in ``b-c`` have the same prefix; the settings
        reject such pairs.
        """
        return f"metadata/propeller/{self.project}-{self.domain}-"

    @property
    def code_prefix(self) -> str:
        """Prefix of the code that is registered for this project and domain, in Flyte's own bucket."""
        return f"{self.project}/{self.domain}/"


def filled(template: str, project: str, domain: str) -> str:
    """``template`` with its two placeholders replaced."""
    return template.replace("{project}", project).replace("{domain}", domain)


def template_problem(template: str) -> str:
    """What is wrong with the template of a name; empty if nothing is."""
    unknown = set(re.findall(r"{+\s*(\w*)\s*}+", template)) - {"project", "domain"}
    rest = template.replace("{project}", "").replace("{domain}", "")
    if unknown or "{" in rest or "}" in rest:
        return f"{shown(template)} has a placeholder other than {{project}} and {{domain}}"
    return ""

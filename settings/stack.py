"""Everything a stack may say, in the order of Pulumi.yaml."""

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic.alias_generators import to_camel

from settings.backup import BackupSettings
from settings.chart import ChartSettings
from settings.endpoints import ClientEndpoints, Endpoints
from settings.external_store import scope_key
from settings.gpus import GpuSettings
from settings.images import Image, images
from settings.ingress import IngressSettings
from settings.log_links import LogLinks
from settings.login import AuthSettings
from settings.monitoring import MonitoringSettings
from settings.network import NetworkSettings
from settings.notifications import Notifications
from settings.placement import Placement
from settings.projects import Project, ProjectPodSecurity, TaskScope, filled
from settings.registries import Registries, docker_config
from settings.retention import RetentionSettings
from settings.secret_manager import SecretManager
from settings.secrets import TASK_STORE_SECRET, Generations, TaskSecretGroup, TaskSecretKey, is_sample
from settings.servers import FlyteSettings, MinioSettings, PostgresSettings
from settings.tasks import TaskSettings
from settings.values import Label, Model

PROJECT = "flyte-home"
"""Name of the Pulumi project, which is the prefix of every key."""


class Settings(Model):
    """All settings of a stack. A field's name in camel case is its key in ``Pulumi.<stack>.yaml``."""

    context: str = Field(exclude=True)
    """kubernetes:context: the kubeconfig context to deploy to."""
    kubeconfig: str = Field(default="", exclude=True)
    """kubernetes:kubeconfig: path of the kubeconfig."""
    cluster_uid: str = Field(default="", pattern=r"^[0-9A-Za-z-]*$")
    """UID of the cluster's kube-system namespace; any other cluster is rejected."""
    namespace: Label = "flyte"
    """Namespace of Flyte, Postgres and the object store."""
    domains: list[Label] = Field(default=["development", "staging", "production"], min_length=1)
    """Flyte domains. Every project has a namespace in each."""
    namespace_template: str = "{project}-{domain}"
    """Template for the namespace of a project and domain, such as 103020-{project}-{domain}."""
    projects: list[Project] = []
    """Flyte projects and the secrets their tasks ask for."""
    task_secrets: list[TaskSecretGroup] = [
        TaskSecretGroup(group="tidal-creds", keys=[TaskSecretKey(key="json", setting="tidalCreds", format="json")])
    ]
    """Secret groups that tasks can ask for, and the secret setting with the value of each key."""
    secret_manager: SecretManager = SecretManager()
    """Where tasks get their secrets from: K8s, AWS, GCP, Vault or Global."""
    tidal_creds: SecretStr = SecretStr("")
    """Secret: Tidal credentials, a JSON object. tidalCreds-<domain> replaces it in one domain."""
    postgres_password: SecretStr = SecretStr("")
    """Secret: password of the database role; empty: Pulumi generates one, or postgres.external names a Secret."""
    postgres_archive_key: SecretStr = SecretStr("")
    """Secret: secret key of the S3 store with postgres.cloudnativePg.archive."""
    generations: Generations = Generations()
    """Generations of the generated secrets: another number generates another secret."""
    preset: Literal["tiny", "small", "comfortable"] = "small"
    """Defaults of postgres, minio, flyte and tasks for a machine of this size."""
    postgres: PostgresSettings = PostgresSettings()
    """Flyte's database."""
    minio: MinioSettings = MinioSettings()
    """The object store."""
    object_store_key: SecretStr = SecretStr("")
    """Secret: Flyte's key of minio.external. objectStoreKey-<project>-<domain> has the key of its tasks."""
    flyte: FlyteSettings = FlyteSettings()
    """Flyte, and its webhook."""
    tasks: TaskSettings = TaskSettings()
    """Defaults, maximum, quota per namespace, and restrictions of task pods."""
    gpus: GpuSettings = GpuSettings()
    """How tasks get GPUs, in the projects that have some."""
    retention: RetentionSettings = RetentionSettings()
    """How long Flyte's rows, its objects and its finished pods are kept."""
    placement: Placement = Placement()
    """Nodes for Flyte, Postgres, the object store and their Jobs."""
    network: NetworkSettings = NetworkSettings()
    """The network policies."""
    client_endpoints: ClientEndpoints = ClientEndpoints()
    """Addresses at which a laptop reaches Flyte and the object store without an ingress."""
    ingress: IngressSettings = IngressSettings()
    """Access to Flyte and the object store through an ingress controller."""
    auth: AuthSettings = AuthSettings()
    """Login to Flyte with an OpenID Connect provider; without an issuer there is no login."""
    oidc_client_secret: SecretStr = SecretStr("")
    """Secret: client secret with which Flyte authenticates to the provider of auth.issuer."""
    backup: BackupSettings = BackupSettings()
    """Backup of the database, the object store and Pulumi's state; without a target there is none."""
    backup_credentials: SecretStr = SecretStr("")
    """Secret: what opens backup.target: an S3 secret key, or an SSH private key."""
    monitoring: MonitoringSettings = MonitoringSettings()
    """Metrics, alerts and dashboards for Prometheus and Grafana; by default none."""
    log_links: LogLinks = LogLinks()
    """Links in the console to the logs of a task; by default none."""
    notifications: Notifications = Notifications()
    """Mails about executions through a mail server; without a host there are none."""
    smtp_password: SecretStr = SecretStr("")
    """Secret: password of notifications.user at the mail server."""
    registries: Registries = Registries()
    """Mirror of all images, and logins at registries."""
    registry_password: SecretStr = SecretStr("")
    """Secret: password of registries.logins[].user, unless the login names another secret setting."""
    images: dict[str, str] = {}
    """Image references that replace those of the table in settings/images.py."""
    chart: ChartSettings = ChartSettings()
    """Source of the pinned flyte-binary chart."""
    flyte_values: dict[str, Any] = {}
    """Values of the flyte-binary chart, merged over the stack's own."""
    protect: bool = False
    """Whether Pulumi refuses to delete Flyte, the servers, their volumes and their namespace."""
    keep_volumes: bool = False
    """Whether destroy leaves the volumes and their namespace in the cluster."""
    secret_values: dict[str, SecretStr] = Field(default={}, exclude=True)
    """Every secret setting that is given, by its name."""

    @property
    def task_scopes(self) -> list[TaskScope]:
        """Every project in every domain."""
        return [self._task_scope(project, domain) for project in self.projects for domain in self.domains]

    def _task_scope(self, project: Project, domain: str) -> TaskScope:
        managed = self.secret_manager.type == "K8s"
        security = project.pod_security or ProjectPodSecurity(enforce=self.tasks.pod_security)
        return TaskScope(
            project=project.name,
            domain=domain,
            namespace=filled(self.namespace_template, project.name, domain),
            bucket=filled(self.minio.data_bucket, project.name, domain),
            quota=project.quota or self.tasks.quota,
            pod_security=security.enforce,
            pod_security_reason=security.reason,
            run_as_user=project.run_as_user,
            service_account_token=project.service_account_token,
            egress=project.egress or self.tasks.egress,
            bucket_quota=project.bucket_quota or self.minio.bucket_quota,
            secrets=[TASK_STORE_SECRET, *(project.task_secrets if managed else []), *project.existing_secrets],
            volume_types=project.volume_types,
            service_accounts=project.service_accounts,
            priority_classes=self.tasks.priority_classes,
            sidecars=[self.secret_manager.sidecar_image] if self.secret_manager.sidecar_image else [],
            devices={f"requests.{self.gpus.resource_name}": str(project.gpus)} if self.most_gpus else {},
            runtime_class=self.gpus.runtime_class if project.gpus else "",
        )

    @property
    def most_gpus(self) -> int:
        """The most GPUs that any project has; 0 if tasks get none."""
        return max((project.gpus for project in self.projects), default=0)

    @property
    def chosen_images(self) -> dict[str, Image]:
        """The images to run, by their names in settings/images.py."""
        return images(self.images, self.registries.mirror)

    @property
    def docker_config(self) -> str:
        """Content of the Secrets with which the cluster pulls images; empty if no registry requires a login."""
        return docker_config(
            self.registries, {name: value.get_secret_value() for name, value in self.secret_values.items()}
        )

    @property
    def flyte_namespace_template(self) -> str:
        """The namespace template in Flyte's notation, such as ``{{ project }}-{{ domain }}``."""
        return filled(self.namespace_template, "{{ project }}", "{{ domain }}")

    @property
    def namespaces(self) -> list[str]:
        """Names of all namespaces, the platform's first."""
        drill = [self.drill_namespace] if self.drill_namespace else []
        return [self.namespace, *drill, *(scope.namespace for scope in self.task_scopes)]

    @property
    def drill_namespace(self) -> str:
        """Namespace in which restores are rehearsed; empty without a backup."""
        return f"{self.namespace}-drill" if self.backup.target else ""

    @property
    def buckets(self) -> list[str]:
        """Names of all buckets, Flyte's own first."""
        return [self.minio.bucket, *(scope.bucket for scope in self.task_scopes)]

    @property
    def task_secret_values(self) -> dict[str, dict[str, dict[str, str]]]:
        """The values of every secret that some project asks for, by group, then namespace, then key."""
        if self.secret_manager.type != "K8s":
            return {}
        groups = {group.group: group for group in self.task_secrets}
        projects = {project.name: project for project in self.projects}
        values: dict[str, dict[str, dict[str, str]]] = {}
        for scope in self.task_scopes:
            for name in projects[scope.project].task_secrets:
                values.setdefault(name, {})[scope.namespace] = {
                    key.key: self.secret_for(key.setting, scope.domain) for key in groups[name].keys
                }
        return values

    @property
    def endpoints(self) -> Endpoints:
        """The addresses at which a client outside the cluster reaches the stack."""
        through = self.ingress if self.ingress.controller != "none" else self.client_endpoints
        found = replace(through.endpoints, login=bool(self.auth.issuer))
        if self.minio.mode == "bundled":
            return found
        external = self.minio.external
        return replace(
            found,
            object_store=external.client_address,
            bundled_store=False,
            store_region=external.region,
            store_ca_certificate=external.certificate_authority,
        )

    @property
    def samples(self) -> list[str]:
        """Names of the secret settings that still hold the sample."""
        return [key for key, value in self.secret_values.items() if is_sample(value.get_secret_value())]

    @property
    def store_key_settings(self) -> dict[str, str]:
        """Names of the secret settings with the keys of tasks for an external store, by task namespace."""
        return {scope.namespace: scope_key(scope.project, scope.domain) for scope in self.task_scopes}

    def secret_for(self, setting: str, domain: str) -> str:
        """The value of a secret setting in a domain: the domain's own value, otherwise the general one; else empty."""
        value = self.secret_values.get(f"{setting}-{domain}") or self.secret_values.get(setting)
        return value.get_secret_value() if value else ""


_NOT_KEYS = {"context", "kubeconfig", "secret_values"}
FIELDS = {to_camel(name): field for name, field in Settings.model_fields.items() if name not in _NOT_KEYS}
"""The fields of the settings by their keys, without the project's prefix."""
SECRET_FIELDS = {key for key, field in FIELDS.items() if field.annotation is SecretStr}
"""Keys of the secret settings that every stack has."""


def may_be_secret(key: str) -> bool:
    """Whether the full ``key`` is, or could be, a secret setting: any key of this project that is no other setting."""
    return key.startswith(f"{PROJECT}:") and key.removeprefix(f"{PROJECT}:") not in FIELDS.keys() - SECRET_FIELDS

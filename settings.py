"""The settings of a stack: typed, checked, and read from Pulumi's configuration here and nowhere else.

Every key of ``Pulumi.yaml`` is a field of :class:`Settings`. A stack file that breaks a rule ends in one
:class:`SettingsError` that lists every problem at once, before Pulumi has registered any resource.
"""

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Self, get_args

import pulumi
import pulumi.runtime.config as pulumi_config
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from components.auth import AuthSettings
from components.chart import PINNED_CHART, ChartPin, check_own_values
from components.egress import Egress
from components.endpoints import Endpoints, split_address
from components.errors import SettingsError
from components.flyte_binary import TASK_STORE_SECRET
from components.hardening import PodSecurityLevel
from components.images import images
from components.ingress import IngressSettings
from components.log_links import LogLinks
from components.merge import merged
from components.placement import Placement
from components.project_namespaces import ProjectNamespace
from components.secret_manager import SecretManager
from components.sizes import Amount, Label, Model, Resources, Volume, check_label, check_order
from components.store_policies import metadata_prefix

PROJECT = "flyte-home"

# What `make up` and the stack files of this repository give a project that has no credentials yet.
SAMPLE_CREDENTIALS = (
    '{"sample": "not a credential: pulumi config set --secret flyte-home:tidalCreds \\"$(cat creds.json)\\""}'
)

_PROVIDER_KEYS = {"kubernetes:context", "kubernetes:kubeconfig", "kubernetes:strictMode"}
# Parts of the fence that a stack cannot switch off.
_FIXED = {"kubernetes:strictMode": "true", "pulumi:disable-default-providers": '["*"]'}
# Settings whose value is not shown in a message: a credential is easily put there by mistake.
_UNSHOWN = {
    *("setting", "http", "grpc", "objectStore", "repository", "archive"),
    *("caCertificate", "issuer", "kubernetesDashboard", "url", "uri", "query"),
}


# --- kinds of values ----------------------------------------------------------------------------------------------


def _secret_name(value: str) -> str:
    if len(value) > 253 or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", value):
        raise ValueError("is not a name for a Kubernetes Secret; write lower-case letters, digits, '-' and '.'")
    return value


def _secret_key(value: str) -> str:
    # Flyte lower-cases the file name, so an upper-case key could be asked for but never be found.
    if len(value) > 253 or not re.fullmatch(r"[a-z0-9_-][a-z0-9._-]*", value):
        raise ValueError("is not a key a task can ask for; write lower-case letters, digits, '-', '_' and '.'")
    return value


def _setting_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][A-Za-z0-9]*", value):
        raise ValueError("is not a name for a setting; write it in camel case, such as spotifyCreds")
    return value


def _url(value: str) -> str:
    # No user or password either: these addresses are printed.
    if not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+/?", value) or not _has_server(value):
        raise ValueError("is not the address of a server; write it like http://127.0.0.1:9000, without user or path")
    return value.rstrip("/")


def _grpc(value: str) -> str:
    if not re.fullmatch(r"dns:///[A-Za-z0-9.-]+:\d+", value) or not _has_server(value):
        raise ValueError("is not the address of a gRPC server; write it like dns:///127.0.0.1:8089")
    return value


def _has_server(address: str) -> bool:
    """Whether the address names a host, and its port, if there is one, is one."""
    try:
        parts = split_address(address)
        return parts.port != 0 and bool(parts.hostname)
    except ValueError:
        return False


def _repository(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.:_/-]+", value):
        raise ValueError("is not the address of a Helm repository; write it like https://flyteorg.github.io/flyte")
    return value


def _sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("is not a SHA-256; write the 64 hexadecimal digits that sha256sum prints")
    return value


Url = Annotated[str, AfterValidator(_url)]
GrpcAddress = Annotated[str, AfterValidator(_grpc)]


# --- groups of settings -------------------------------------------------------------------------------------------


def _resources(cpu: str, memory: str, max_cpu: str, max_memory: str) -> Any:
    return Field(
        default=Resources(requests=Amount(cpu=cpu, memory=memory), limits=Amount(cpu=max_cpu, memory=max_memory)),
        description="Requests and limits of the container.",
    )


class Quota(Model):
    """The most that all pods of one task namespace may ask for together."""

    pods: int = Field(default=50, ge=1, le=10000, description="Pods at one time.")
    requests: Amount = Amount(cpu="4", memory="8Gi")
    limits: Amount = Amount(cpu="32", memory="16Gi")

    def model_post_init(self, _context: Any) -> None:
        check_order(requests=self.requests, limits=self.limits)

    @property
    def by_name(self) -> dict[str, str]:
        """The hard limits by the names a ResourceQuota has for them."""
        return {
            "pods": str(self.pods),
            **{f"requests.{name}": amount for name, amount in self.requests.by_name.items()},
            **{f"limits.{name}": amount for name, amount in self.limits.by_name.items()},
        }


class PostgresSettings(Model):
    """Flyte's database."""

    volume: Volume = Volume(size="10Gi")
    max_connections: int = Field(
        default=100, ge=30, le=1000, description="Connections the server accepts; Flyte's five pools share them."
    )
    resources: Resources = _resources("100m", "128Mi", "2", "512Mi")


class MinioSettings(Model):
    """The object store."""

    volume: Volume = Volume(size="20Gi")
    bucket: str = Field(
        default="flyte",
        pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
        description="Bucket for Flyte's metadata and for registered code.",
    )
    data_bucket: str = Field(
        default="{project}-{domain}", description="Bucket for the data of the tasks of a project and domain."
    )
    task_key_window: int = Field(
        default=3600,
        ge=0,
        le=604800,
        description="Seconds for which the keys of tasks of the generation before still open it, for running tasks.",
    )
    resources: Resources = _resources("100m", "256Mi", "2", "1Gi")


def _generation(what: str) -> Any:
    return Field(default=1, ge=1, le=1_000_000, description=f"Of {what}.")


class Generations(Model):
    """Each generated secret is generated anew for another number."""

    postgres: int = _generation("the password of the database's role flyte, where none is given")
    postgres_superuser: int = _generation("the password of the database's superuser")
    minio_root: int = _generation("the object store's root password")
    minio_flyte: int = _generation("Flyte's key of the object store")
    minio_tasks: int = _generation("the keys of the object store of all projects and domains")
    webhook: int = _generation("the certificate of Flyte's webhook")
    auth: int = _generation("the keys of Flyte's login; everybody has to log in again")


class FlyteSettings(Model):
    """The Flyte process."""

    log_level: int = Field(default=3, ge=1, le=5, description="1 fatal, 2 error, 3 warning, 4 info, 5 debug.")
    max_parallelism: int = Field(
        default=25, ge=1, le=10000, description="Nodes of one workflow that run at the same time."
    )
    rights: Literal["minimal", "chart"] = Field(
        default="minimal",
        description="chart: the ClusterRole of the chart, which can make namespaces, and read and write every Secret.",
    )
    termination_grace_period_seconds: int = Field(
        default=10, ge=1, le=600, description="Seconds Flyte is given to stop. It ignores SIGTERM and uses all of them."
    )
    resources: Resources = _resources("100m", "256Mi", "2", "1Gi")


class TaskSettings(Model):
    """What task pods get when they ask for nothing, what they may ask for, and what a namespace may use."""

    requests: Amount = Amount(cpu="100m", memory="256Mi")
    limits: Amount = Amount(cpu="2", memory="1Gi")
    maximum: Amount = Amount(cpu="4", memory="8Gi")
    quota: Quota = Quota()
    pod_security: PodSecurityLevel = Field(
        default="baseline", description="Pod Security level that the namespaces of projects enforce."
    )
    lowest_pod_security: PodSecurityLevel = Field(
        default="privileged", description="The lowest level that a project may ask for, with its reason."
    )
    egress: Egress = Field(default=Egress(), description="What task pods may reach besides DNS and the object store.")
    placement: Placement = Field(
        default=Placement(), description="Nodes for task pods whose tasks say nothing of them."
    )

    def model_post_init(self, _context: Any) -> None:
        check_order(requests=self.requests, limits=self.limits, maximum=self.maximum)

    @property
    def resources(self) -> Resources:
        """What a task container gets when its task asks for nothing."""
        return Resources(requests=self.requests, limits=self.limits)


class ClientEndpoints(Model):
    """Where a laptop reaches the stack. The defaults fit the port-forwards in the stack's outputs."""

    http: Url = "http://127.0.0.1:8088"
    grpc: GrpcAddress = "dns:///127.0.0.1:8089"
    object_store: Url = "http://127.0.0.1:9000"
    insecure: bool = Field(default=True, description="Whether gRPC goes without TLS, as through a port-forward.")


class ChartSettings(Model):
    """Where the pinned flyte-binary chart comes from. What counts is the digest, not the source."""

    repository: Annotated[str, AfterValidator(_repository)] = PINNED_CHART.repository
    version: str = Field(default=PINNED_CHART.version, pattern=r"^v?[0-9][0-9A-Za-z.+-]*$")
    sha256: Annotated[str, AfterValidator(_sha256)] = PINNED_CHART.sha256
    archive: str = Field(default="", description="A local file to take instead of the repository.")

    @property
    def pin(self) -> ChartPin:
        """What the archive has to be."""
        return ChartPin(PINNED_CHART.name, self.repository, self.version, self.sha256)


class NetworkSettings(Model):
    """The network policies."""

    enabled: bool = Field(default=True, description="Whether there are network policies at all.")
    clients: list[Label] = Field(
        default=[],
        description="Other namespaces whose pods may reach Flyte and the object store, such as an ingress'.",
    )


class ProjectPodSecurity(Model):
    """The Pod Security level of one project."""

    enforce: PodSecurityLevel
    reason: str = Field(default="", description="Why; required where it is lower than flyte-home:tasks.podSecurity.")


class Project(Model):
    """A Flyte project: a namespace in each domain, registered in Flyte."""

    name: Label
    description: str = ""
    task_secrets: list[str] = Field(default=[], description="Groups of flyte-home:taskSecrets that its tasks ask for.")
    quota: Quota | None = Field(default=None, description="Instead of flyte-home:tasks.quota.")
    pod_security: ProjectPodSecurity | None = Field(
        default=None, description="Instead of flyte-home:tasks.podSecurity, with the reason."
    )
    run_as_user: int = Field(
        default=1000,
        ge=0,
        le=65535,
        description="User of its task pods, 1000 as in flytekit's own image; 0, root, is for images that need it.",
    )
    egress: Egress | None = Field(default=None, description="Instead of flyte-home:tasks.egress.")
    service_account_token: bool = Field(
        default=False, description="Whether its task pods get a token for the Kubernetes API, and may reach it."
    )


class TaskSecretKey(Model):
    """One key of a secret group."""

    key: Annotated[str, AfterValidator(_secret_key)]
    setting: Annotated[str, AfterValidator(_setting_name)] = Field(description="The secret setting with the value.")
    format: Literal["text", "json"] = Field(default="text", description="json: the value must be a JSON object.")


class TaskSecretGroup(Model):
    """A secret group as a task asks for it: the Kubernetes Secret ``group`` in its namespace."""

    group: Annotated[str, AfterValidator(_secret_name)]
    keys: list[TaskSecretKey] = Field(min_length=1)


# --- presets ------------------------------------------------------------------------------------------------------


def _amounts(requests: tuple[str, str], limits: tuple[str, str]) -> dict[str, Any]:
    return {
        "requests": {"cpu": requests[0], "memory": requests[1]},
        "limits": {"cpu": limits[0], "memory": limits[1]},
    }


# What differs from the defaults, which are those of `small`.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # One board with 4 GB, such as a Raspberry Pi, for a task or two at a time.
    "tiny": {
        "postgres": {"maxConnections": 60, "resources": _amounts(("50m", "96Mi"), ("1", "256Mi"))},
        "minio": {"resources": _amounts(("50m", "128Mi"), ("1", "512Mi"))},
        "flyte": {"maxParallelism": 5, "resources": _amounts(("50m", "128Mi"), ("1", "512Mi"))},
        "tasks": {
            **_amounts(("50m", "192Mi"), ("2", "768Mi")),
            "maximum": {"cpu": "4", "memory": "2Gi"},
            "quota": {"pods": 10, **_amounts(("2", "2Gi"), ("16", "6Gi"))},
        },
    },
    "small": {},
    # Machines with 32 GB and more.
    "comfortable": {
        "postgres": {"maxConnections": 200, "resources": _amounts(("250m", "512Mi"), ("4", "2Gi"))},
        "minio": {"resources": _amounts(("250m", "1Gi"), ("4", "4Gi"))},
        "flyte": {"maxParallelism": 100, "resources": _amounts(("250m", "512Mi"), ("4", "4Gi"))},
        "tasks": {
            **_amounts(("250m", "512Mi"), ("4", "4Gi")),
            "maximum": {"cpu": "16", "memory": "64Gi"},
            "quota": {"pods": 200, **_amounts(("32", "128Gi"), ("256", "512Gi"))},
        },
    },
}
# The settings whose defaults a preset decides.
OF_PRESET = ("postgres", "minio", "flyte", "tasks")


# --- the whole ----------------------------------------------------------------------------------------------------


class Settings(Model):
    """All settings of a stack. Field names are the keys of ``Pulumi.<stack>.yaml`` in camel case."""

    context: str = Field(exclude=True, description="kubernetes:context: the kubeconfig context to deploy to.")
    kubeconfig: str = Field(default="", exclude=True, description="kubernetes:kubeconfig: path of the kubeconfig.")
    cluster_uid: str = Field(
        default="",
        pattern=r"^[0-9A-Za-z-]*$",
        description="UID of the cluster's kube-system namespace; another cluster is refused.",
    )
    namespace: Label = Field(default="flyte", description="Namespace of Flyte, Postgres and the object store.")
    domains: list[Label] = Field(
        default=["development", "staging", "production"],
        min_length=1,
        description="Flyte domains; every project has a namespace in each.",
    )
    namespace_template: str = Field(
        default="{project}-{domain}",
        description="Name of the namespace of a project and domain, such as 103020-{project}-{domain}.",
    )
    projects: list[Project] = Field(default=[], description="Flyte projects and the secrets their tasks ask for.")
    task_secrets: list[TaskSecretGroup] = Field(
        default=[
            TaskSecretGroup(group="tidal-creds", keys=[TaskSecretKey(key="json", setting="tidalCreds", format="json")])
        ],
        description="Secret groups that tasks can ask for, and the secret setting with the value of each key.",
    )
    secret_manager: SecretManager = Field(
        default=SecretManager(), description="Where tasks get their secrets from: K8s, AWS, GCP, Vault or Global."
    )
    tidal_creds: SecretStr = Field(
        default=SecretStr(""),
        description="Secret: Tidal credentials, a JSON object. tidalCreds-<domain> replaces it in one domain.",
    )
    postgres_password: SecretStr = Field(
        default=SecretStr(""), description="Secret: password of the role flyte; empty: one is generated."
    )
    generations: Generations = Field(
        default=Generations(), description="Numbers of the generated secrets; another number is another secret."
    )
    preset: Literal["tiny", "small", "comfortable"] = Field(
        default="small", description="Defaults of postgres, minio, flyte and tasks for a machine of this size."
    )
    postgres: PostgresSettings = Field(default=PostgresSettings(), description="Flyte's database.")
    minio: MinioSettings = Field(default=MinioSettings(), description="The object store.")
    flyte: FlyteSettings = Field(default=FlyteSettings(), description="The Flyte process.")
    tasks: TaskSettings = Field(
        default=TaskSettings(), description="Defaults, maximum, quota per namespace, and fences of task pods."
    )
    placement: Placement = Field(
        default=Placement(), description="Nodes for Flyte, Postgres, the object store and their Jobs."
    )
    network: NetworkSettings = Field(default=NetworkSettings(), description="The network policies.")
    client_endpoints: ClientEndpoints = Field(
        default=ClientEndpoints(), description="Where a laptop reaches Flyte and the object store, without an ingress."
    )
    ingress: IngressSettings = Field(
        default=IngressSettings(), description="The way to Flyte and the object store through an ingress controller."
    )
    auth: AuthSettings = Field(
        default=AuthSettings(), description="Login to Flyte with an OpenID Connect provider; without issuer, none."
    )
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), description="Secret: what Flyte proves itself with to the provider of auth.issuer."
    )
    log_links: LogLinks = Field(
        default=LogLinks(), description="Where the console's links to the logs of a task lead; without any, none."
    )
    images: dict[str, str] = Field(default={}, description="Image references that replace those of the table.")
    chart: ChartSettings = Field(default=ChartSettings(), description="Source of the pinned flyte-binary chart.")
    flyte_values: dict[str, Any] = Field(
        default={}, description="Values of the flyte-binary chart, merged over the stack's own."
    )
    protect: bool = Field(
        default=False,
        description="Whether Pulumi refuses to delete Flyte, the servers, their volumes and their namespace.",
    )
    keep_volumes: bool = Field(
        default=False, description="Whether destroy leaves the volumes and their namespace in the cluster."
    )
    secret_values: dict[str, SecretStr] = Field(
        default={}, exclude=True, description="Every secret setting that is given, by its name."
    )

    @classmethod
    def load(cls) -> Self:
        """The settings of the running stack.

        Raises:
            SettingsError: listing everything that is wrong, and for each what to write instead.
        """
        config = pulumi_config.get_config_env() | pulumi_config.CONFIG.get()
        # pulumi.Config has no way to list keys, and an unknown key must be an error rather than be ignored.
        secrets = {*pulumi_config.get_config_secret_keys_env(), *filter(pulumi_config.is_config_secret, config)}
        return cls.from_config(config, secrets)

    @classmethod
    def from_config(cls, config: Mapping[str, str], secret_keys: Collection[str]) -> Self:
        """The settings in ``config`` (full key to value, as Pulumi hands them over).

        Args:
            config: values by full key; structures are JSON.
            secret_keys: the full keys whose values were encrypted in the stack file.

        Raises:
            SettingsError: see :meth:`load`.
        """
        own = {key.removeprefix(f"{PROJECT}:"): text for key, text in config.items() if key.startswith(f"{PROJECT}:")}
        encrypted = {key.removeprefix(f"{PROJECT}:") for key in secret_keys}
        problems = list(_provider_problems(config, secret_keys))
        values = {name: config.get(f"kubernetes:{name}", "") for name in ("context", "kubeconfig")}
        try:
            settings = cls.model_validate(values | _decoded(own, encrypted, problems))
        except ValidationError as error:
            raise SettingsError(*problems, *_explain(error)) from None
        except RecursionError:
            raise SettingsError(*problems, f"{PROJECT}: a setting is nested too deeply; see Pulumi.yaml") from None

        names = _secret_names(settings)
        given = {key: SecretStr(own[key]) for key in names & own.keys() if own[key].strip()}
        settings = settings.model_copy(
            update={
                "secret_values": given,
                "tidal_creds": given.get("tidalCreds", SecretStr("")),
                "postgres_password": given.get("postgresPassword", SecretStr("")),
                "oidc_client_secret": given.get("oidcClientSecret", SecretStr("")),
            }
        )
        problems += _key_problems(own.keys(), names)
        problems += _plain_text_problems(given, encrypted)
        problems += _name_problems(settings)
        problems += _bucket_problems(settings)
        problems += _quota_problems(settings)
        problems += _privilege_problems(settings)
        problems += _secret_problems(settings)
        problems += _reach_problems(settings)
        problems += [
            f"{PROJECT}:secretManager.{part}: has no effect with type {settings.secret_manager.type!r}; leave it out"
            for part in settings.secret_manager.unused
        ]
        for check in (
            lambda: images(settings.images),
            lambda: check_own_values(settings.flyte_values, settings.flyte.rights),
        ):
            try:
                check()
            except SettingsError as error:
                problems += error.problems
        if problems:
            raise SettingsError(*problems)
        for name in settings.samples:
            pulumi.log.warn(f"{PROJECT}:{name} holds the sample, which opens nothing; set your own with --secret")
        return settings

    @property
    def namespaces(self) -> list[ProjectNamespace]:
        """The namespace of every project in every domain."""
        return [self._namespace(project, domain) for project in self.projects for domain in self.domains]

    def _namespace(self, project: Project, domain: str) -> ProjectNamespace:
        security = project.pod_security or ProjectPodSecurity(enforce=self.tasks.pod_security)
        return ProjectNamespace(
            name=_filled(self.namespace_template, project.name, domain),
            project=project.name,
            domain=domain,
            bucket=_filled(self.minio.data_bucket, project.name, domain),
            quota=(project.quota or self.tasks.quota).by_name,
            pod_security=security.enforce,
            pod_security_reason=security.reason,
            run_as_user=project.run_as_user,
            service_account_token=project.service_account_token,
            egress=project.egress or self.tasks.egress,
        )

    @property
    def flyte_namespace_template(self) -> str:
        """The same mapping in Flyte's notation."""
        return _filled(self.namespace_template, "{{ project }}", "{{ domain }}")

    @property
    def task_secret_values(self) -> dict[str, dict[str, dict[str, str]]]:
        """Group, then namespace, then key: the values of every secret that some project asks for."""
        if self.secret_manager.type != "K8s":
            return {}
        groups = {group.group: group for group in self.task_secrets}
        projects = {project.name: project for project in self.projects}
        values: dict[str, dict[str, dict[str, str]]] = {}
        for namespace in self.namespaces:
            for name in projects[namespace.project].task_secrets:
                values.setdefault(name, {})[namespace.name] = {
                    key.key: self.secret_for(key.setting, namespace.domain) for key in groups[name].keys
                }
        return values

    @property
    def endpoints(self) -> Endpoints:
        """How a client outside of the cluster reaches the stack."""
        way = self.ingress.endpoints if self.ingress.controller != "none" else Endpoints(**dict(self.client_endpoints))
        return replace(way, login=bool(self.auth.issuer))

    @property
    def samples(self) -> list[str]:
        """The secret settings that still hold the sample."""
        return [key for key, value in self.secret_values.items() if value.get_secret_value() == SAMPLE_CREDENTIALS]

    def secret_for(self, setting: str, domain: str) -> str:
        """The value of a secret setting in a domain, the domain's own before the general one; empty if not given."""
        value = self.secret_values.get(f"{setting}-{domain}") or self.secret_values.get(setting)
        return value.get_secret_value() if value else ""


def _filled(template: str, project: str, domain: str) -> str:
    return template.replace("{project}", project).replace("{domain}", domain)


_NOT_KEYS = {"context", "kubeconfig", "secret_values"}
FIELDS = {to_camel(name): field for name, field in Settings.model_fields.items() if name not in _NOT_KEYS}
_SECRET_FIELDS = {key for key, field in FIELDS.items() if field.annotation is SecretStr}


def may_be_secret(key: str) -> bool:
    """Whether a full key is, or could be, that of a secret setting: it is of this project and no other setting's."""
    return key.startswith(f"{PROJECT}:") and key.removeprefix(f"{PROJECT}:") not in FIELDS.keys() - _SECRET_FIELDS


def _secret_names(settings: Settings) -> set[str]:
    """The names that secret settings may have: the stack's own, and those that task secrets name, also per domain."""
    names = {key.setting for group in settings.task_secrets for key in group.keys}
    return _SECRET_FIELDS | names | {f"{name}-{domain}" for name in names for domain in settings.domains}


def _decoded(own: Mapping[str, str], encrypted: Collection[str], problems: list[str]) -> dict[str, Any]:
    """The settings that are no secrets, as data; what cannot be read is added to ``problems``."""
    preset = PRESETS.get(own.get("preset", ""), {})
    values: dict[str, Any] = {key: _completed(FIELDS[key].default, preset.get(key, {})) for key in OF_PRESET}
    for key in sorted(FIELDS.keys() & own.keys() - _SECRET_FIELDS):
        if key in encrypted:
            problems.append(
                f"{PROJECT}:{key}: is encrypted, but ends in plain text in the cluster; secrets have settings of "
                f"their own. Write this one without --secret"
            )
        elif FIELDS[key].annotation is str or key == "preset":
            values[key] = own[key]
        else:
            try:
                values[key] = _completed(values.get(key, FIELDS[key].default), _json(own[key]))
            except (ValueError, RecursionError):
                kind = "true or false" if FIELDS[key].annotation is bool else "a list or map; write it in YAML"
                problems.append(f"{PROJECT}:{key}: is not {kind}; see Pulumi.yaml")
    return values


# --- rules between settings ---------------------------------------------------------------------------------------


def _provider_problems(config: Mapping[str, str], secret_keys: Collection[str]) -> Iterator[str]:
    if not config.get("kubernetes:context", "").strip():
        yield (
            "kubernetes:context: is not set, so it is not said which cluster to deploy to; "
            "write pulumi config set kubernetes:context NAME (kubectl config get-contexts lists the names)"
        )
    for key in sorted(config):
        if key.startswith("kubernetes:") and key not in _PROVIDER_KEYS:
            yield f"{key}: has no effect here, the program makes its own provider; pulumi config rm {key}"
        elif key.split(":")[0] not in {PROJECT, "kubernetes", "pulumi"}:
            yield f"{key}: has no effect here; the settings of this project begin with {PROJECT}:"
        elif key in _FIXED and config[key].replace(" ", "") != _FIXED[key]:
            yield f"{key}: must stay {_FIXED[key]}, or the wrong cluster could be touched; pulumi config rm {key}"
        elif key.startswith("kubernetes:") and key in secret_keys:
            yield f"{key}: is encrypted, but no secret belongs there; write the name or the path without --secret"
    kubeconfig = config.get("kubernetes:kubeconfig", "")
    if "\n" in kubeconfig or kubeconfig.lstrip().startswith("{"):
        yield "kubernetes:kubeconfig: is the content of a kubeconfig; write the path of the file"


def _name_problems(settings: Settings) -> Iterator[str]:
    if not settings.projects:
        yield f"{PROJECT}:projects: names no project; write at least one, such as [{{name: remedy}}]"
    yield from _repeated("projects", "name", [project.name for project in settings.projects])
    yield from _repeated("domains", "id", settings.domains)
    for name in sorted({key.setting for group in settings.task_secrets for key in group.keys} & FIELDS.keys()):
        if name != "tidalCreds":
            yield f"{PROJECT}:taskSecrets: {name!r} is a setting of the stack itself; choose another name"
    yield from _repeated("taskSecrets", "group", [group.group for group in settings.task_secrets])
    for group in settings.task_secrets:
        yield from _repeated(f"taskSecrets[{group.group}].keys", "key", [key.key for key in group.keys])
        if group.group == TASK_STORE_SECRET:
            yield f"{PROJECT}:taskSecrets: the stack itself uses the name {TASK_STORE_SECRET!r}; choose another group"

    if problem := _template_problem(settings.namespace_template):
        yield f"{PROJECT}:namespaceTemplate: {problem}; write it like 103020-{{project}}-{{domain}}"
        return
    owners = {settings.namespace: f"{PROJECT}:namespace"}
    remedy = "rename a project or a domain, or change flyte-home:namespaceTemplate"
    if _is_of_kubernetes(settings.namespace):
        yield f"{PROJECT}:namespace: {settings.namespace!r} belongs to Kubernetes itself; write another, such as flyte"
    for namespace in _distinct(settings):
        who = f"project {namespace.project!r} in domain {namespace.domain!r}"
        if namespace.name in owners:
            both = f"{who} and {owners[namespace.name]}"
            yield f"{PROJECT}:namespaceTemplate: {both} both get {namespace.name!r}; {remedy}"
        elif _is_of_kubernetes(namespace.name):
            yield f"{PROJECT}:namespaceTemplate: {who} gets {namespace.name!r}, a name of Kubernetes itself; {remedy}"
        elif len(namespace.name) > 63:
            yield (
                f"{PROJECT}:namespaceTemplate: {who} gets {namespace.name!r}, which has {len(namespace.name)} "
                f"characters; Kubernetes allows 63: {remedy}"
            )
        else:
            try:
                check_label(namespace.name)
            except ValueError as error:
                yield f"{PROJECT}:namespaceTemplate: {who} gets {namespace.name!r}, which {error}"
        owners.setdefault(namespace.name, who)


def _template_problem(template: str) -> str:
    """What is wrong with the template of a name; empty if nothing is."""
    unknown = set(re.findall(r"{+\s*(\w*)\s*}+", template)) - {"project", "domain"}
    rest = template.replace("{project}", "").replace("{domain}", "")
    if unknown or "{" in rest or "}" in rest:
        return f"{template!r} has a placeholder that is neither {{project}} nor {{domain}}"
    return ""


def _distinct(settings: Settings) -> list[ProjectNamespace]:
    """Each project in each domain once; one that is named twice is reported elsewhere."""
    return list({(found.project, found.domain): found for found in reversed(settings.namespaces)}.values())[::-1]


def _is_of_kubernetes(namespace: str) -> bool:
    return namespace == "default" or namespace.startswith("kube-")


def _bucket_problems(settings: Settings) -> Iterator[str]:
    """Buckets that S3 refuses or that two would share, and names by which one project could open another's metadata."""
    place, template = f"{PROJECT}:minio.dataBucket", settings.minio.data_bucket
    if problem := _template_problem(template):
        yield f"{place}: {problem}; write it like data-{{project}}-{{domain}}"
        return
    if problem := _refused_by_s3(settings.minio.bucket):
        yield f"{PROJECT}:minio.bucket: {settings.minio.bucket!r} {problem}"
    remedy = "rename a project or a domain, or change flyte-home:minio.dataBucket"
    owners = {settings.minio.bucket: f"{PROJECT}:minio.bucket"}
    found = _distinct(settings)
    for namespace in found:
        who = f"project {namespace.project!r} in domain {namespace.domain!r}"
        if namespace.bucket in owners:
            yield f"{place}: {who} and {owners[namespace.bucket]} both get the bucket {namespace.bucket!r}; {remedy}"
        elif problem := _refused_by_s3(namespace.bucket):
            yield f"{place}: {who} gets the bucket {namespace.bucket!r}, which {problem}; {remedy}"
        owners.setdefault(namespace.bucket, who)
    # Sorted, a name stands directly before those that it is the beginning of.
    by_prefix = sorted(found, key=metadata_prefix)
    for index, first in enumerate(by_prefix):
        for second in by_prefix[index + 1 :]:
            if not metadata_prefix(second).startswith(metadata_prefix(first)):
                break
            yield (
                f"{PROJECT}:projects: Flyte keeps what project {second.project!r} in domain {second.domain!r} does "
                f"under {metadata_prefix(second).split('/')[-1]!r}, which begins like that of project "
                f"{first.project!r} in domain {first.domain!r}, whose tasks could read and change it; "
                "rename a project or a domain"
            )


def _refused_by_s3(bucket: str) -> str:
    """What S3, or MinIO, has against the name of a bucket; empty if nothing.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket):
        return "S3 refuses: 3 to 63 lower-case letters, digits and inner hyphens are a name"
    if bucket.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or bucket.endswith(("-s3alias", "--ol-s3", "--x-s3")):
        return "S3 keeps for itself"
    if bucket == "minio":
        return "the object store keeps for itself"
    return ""


def _privilege_problems(settings: Settings) -> Iterator[str]:
    """Pods with more rights than the stack allows, or than it says why."""
    levels = list(get_args(PodSecurityLevel))
    tasks = settings.tasks
    lowest = f"{PROJECT}:tasks.lowestPodSecurity, which is {tasks.lowest_pod_security!r}"
    if levels.index(tasks.pod_security) < levels.index(tasks.lowest_pod_security):
        yield f"{PROJECT}:tasks.podSecurity: {tasks.pod_security!r} is lower than {lowest}; raise it, or lower that"
    for project in settings.projects:
        enforced = project.pod_security.enforce if project.pod_security else tasks.pod_security
        if project.run_as_user == 0 and enforced == "restricted":
            yield (
                f"{PROJECT}:projects[{project.name}].runAsUser: 0 is root, which its Pod Security level 'restricted' "
                "forbids; write another user, or podSecurity: {enforce: baseline, reason: why}"
            )
        if not project.pod_security:
            continue
        place, wanted = f"{PROJECT}:projects[{project.name}].podSecurity", project.pod_security.enforce
        if levels.index(wanted) < levels.index(tasks.lowest_pod_security):
            yield f"{place}: {wanted!r} is lower than {lowest}; leave it out, or lower that"
        elif levels.index(wanted) < levels.index(tasks.pod_security) and not project.pod_security.reason.strip():
            yield (
                f"{place}: {wanted!r} gives its pods more rights than {tasks.pod_security!r}, and no reason; "
                f"write {{enforce: {wanted}, reason: why}}, or leave it out"
            )


def _quota_problems(settings: Settings) -> Iterator[str]:
    """A quota in which not even one task with the default resources fits would block every task."""
    places = {f"{PROJECT}:tasks.quota": settings.tasks.quota}
    places |= {
        f"{PROJECT}:projects[{project.name}].quota": project.quota for project in settings.projects if project.quota
    }
    for place, quota in places.items():
        try:
            check_order(**{"tasks.requests": settings.tasks.requests, "quota.requests": quota.requests})
            check_order(**{"tasks.limits": settings.tasks.limits, "quota.limits": quota.limits})
        except ValueError as error:
            yield f"{place}: {error}; no task would ever start"


def _key_problems(keys: Collection[str], secret_names: Collection[str]) -> Iterator[str]:
    for key in sorted(set(keys) - FIELDS.keys() - set(secret_names)):
        near = difflib.get_close_matches(key, [*FIELDS, *secret_names], 1)
        hint = f"did you mean {PROJECT}:{near[0]}?" if near else "see the config block of Pulumi.yaml"
        yield f"{PROJECT}:{key}: there is no such setting; {hint}"


def _plain_text_problems(given: Mapping[str, SecretStr], encrypted: Collection[str]) -> Iterator[str]:
    for key in sorted(given.keys() - set(encrypted)):
        if given[key].get_secret_value() != SAMPLE_CREDENTIALS:
            yield (
                f"{PROJECT}:{key}: is stored in plain text; change the value where it is in use, then write "
                f"pulumi config set --secret {PROJECT}:{key}"
            )


def _repeated(setting: str, what: str, names: Sequence[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{PROJECT}:{setting}: {what} {name!r} is there {names.count(name)} times; keep one"


def _secret_problems(settings: Settings) -> Iterator[str]:
    password = settings.postgres_password.get_secret_value()
    if password and not re.fullmatch(r"[!#-&(-\[\]-~]+", password):
        yield (
            f"{PROJECT}:postgresPassword: has a space, a quote, a backslash or a character that is not ASCII, which "
            "Flyte's connection string cannot carry; use letters, digits and the other signs"
        )
    if password and settings.generations.postgres > 1:
        yield (
            f"{PROJECT}:generations.postgres: is about a generated password, but {PROJECT}:postgresPassword gives one; "
            "leave one of them out"
        )
    if password and len(password) < 8:
        yield f"{PROJECT}:postgresPassword: is shorter than 8 characters; make it longer, or leave it empty"

    if settings.secret_manager.type != "K8s":
        yield from _other_manager_problems(settings)
        return
    groups = {group.group: group for group in settings.task_secrets}
    wanted: dict[str, list[str]] = {}
    for project in settings.projects:
        for name in project.task_secrets:
            if name in groups:
                wanted.setdefault(name, []).append(project.name)
            else:
                near = difflib.get_close_matches(name, groups, 1) or sorted(groups)
                yield (
                    f"{PROJECT}:projects[{project.name}].taskSecrets: there is no group {name!r} in "
                    f"{PROJECT}:taskSecrets; write {' or '.join(near) or 'one there first'}"
                )
    for name, projects in wanted.items():
        for key in groups[name].keys:
            yield from _value_problems(settings, key, f"project {', '.join(projects)} asks for the group {name!r}")


def _other_manager_problems(settings: Settings) -> Iterator[str]:
    """What Pulumi would keep although nobody asks it, and what Vault's agent cannot do without."""
    manager = f"{PROJECT}:secretManager.type is {settings.secret_manager.type!r}"
    for name in sorted(settings.secret_values.keys() - {"postgresPassword", "oidcClientSecret"}):
        yield (
            f"{PROJECT}:{name}: has no effect, because {manager}; put the secret there, and write "
            f"pulumi config rm {PROJECT}:{name}"
        )
    if settings.secret_manager.type == "Vault" and not any(found.service_account_token for found in settings.projects):
        yield (
            f"{PROJECT}:projects: {manager}, whose agent logs in with the token of the pod, and no project has one; "
            "write serviceAccountToken: true where tasks ask for secrets"
        )


def _reach_problems(settings: Settings) -> Iterator[str]:
    """A way that is said twice, and half a login."""
    if settings.ingress.controller != "none" and settings.client_endpoints != ClientEndpoints():
        yield (
            f"{PROJECT}:clientEndpoints: has no effect, because clients come through {PROJECT}:ingress; "
            f"write pulumi config rm {PROJECT}:clientEndpoints"
        )
    secret = settings.oidc_client_secret.get_secret_value()
    if settings.auth.issuer and not secret:
        yield (
            f"{PROJECT}:oidcClientSecret: is missing or empty, but {PROJECT}:auth.issuer wants a login; "
            f"write pulumi config set --secret {PROJECT}:oidcClientSecret"
        )
    if secret and not settings.auth.issuer:
        yield (
            f"{PROJECT}:oidcClientSecret: has no effect without {PROJECT}:auth.issuer; "
            f"write that, or pulumi config rm {PROJECT}:oidcClientSecret"
        )


def _value_problems(settings: Settings, key: TaskSecretKey, why: str) -> Iterator[str]:
    example = '"$(cat creds.json)"' if key.format == "json" else ""
    remedy = f"write pulumi config set --secret {PROJECT}:{key.setting} {example}".rstrip()
    missing = [domain for domain in settings.domains if not settings.secret_for(key.setting, domain)]
    if missing:
        where = "" if missing == settings.domains else f" for the domain {', '.join(missing)}"
        yield f"{PROJECT}:{key.setting}: is missing or empty{where}, but {why}; {remedy}"
    if key.format != "json":
        return
    for name in (key.setting, *(f"{key.setting}-{domain}" for domain in settings.domains)):
        value = settings.secret_values.get(name)
        if not value:
            continue
        try:
            content = _json(value.get_secret_value())
        except (ValueError, RecursionError):  # the error's own text may quote the value
            content = None
        if not isinstance(content, dict) or not content:
            problem = "is not JSON" if content is None else "is JSON, but not an object with something in it"
            yield f"{PROJECT}:{name}: {problem}; {remedy.replace(f':{key.setting} ', f':{name} ')}"


def _json(text: str) -> Any:
    """Strict JSON: without ``NaN``, ``Infinity`` and numbers that are longer than any reader takes."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def _completed(default: Any, given: Any) -> Any:
    """``given`` put over the ``default`` of its setting, so that a stack file names only what differs."""
    known = default.model_dump(by_alias=True) if isinstance(default, Model) else default
    return merged(known, given) if isinstance(known, dict) and isinstance(given, dict) else given


# --- messages -----------------------------------------------------------------------------------------------------


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
        value, last = problem["input"], str(problem["loc"][-1]) if problem["loc"] else ""
        shown = f" {value!r}" if isinstance(value, str | int | float | bool) and last not in _UNSHOWN else ""
        match problem["type"]:
            case "extra_forbidden":  # its value is not shown: a secret may have been put there by mistake
                known = _known_keys(problem["loc"][:-1])
                near = difflib.get_close_matches(str(problem["loc"][-1]), known, 1) or known
                yield f"{PROJECT}:{where}: there is no such setting; write {' or '.join(near)}"
            case "value_error":
                yield f"{PROJECT}:{where}:{shown} {problem['ctx']['error']}"
            case "missing":
                yield f"{PROJECT}:{where}: is missing; write it, see Pulumi.yaml"
            case "greater_than" | "greater_than_equal" | "less_than_equal":
                yield f"{PROJECT}:{where}:{shown} is out of range; {problem['msg'][0].lower()}{problem['msg'][1:]}"
            case "string_type" if last in {"size", "memory", "cpu"}:
                yield f"{PROJECT}:{where}:{shown} has no unit; write it as text with one, such as '10Gi'"
            case "string_type":
                yield f"{PROJECT}:{where}:{shown} is not text; put it in quotes"
            case "too_short":
                yield f"{PROJECT}:{where}: is empty; write at least one"
            case "string_pattern_mismatch":
                yield f"{PROJECT}:{where}:{shown} is not in the form this setting has; see Pulumi.yaml"
            case "list_type":
                yield f"{PROJECT}:{where}: is not a list; see Pulumi.yaml"
            case "dict_type" | "model_type" | "model_attributes_type":
                yield f"{PROJECT}:{where}: is not a map; see Pulumi.yaml"
            case _:
                yield f"{PROJECT}:{where}:{shown} {problem['msg'][0].lower()}{problem['msg'][1:]}; see Pulumi.yaml"


def _known_keys(path: Sequence[str | int]) -> list[str]:
    """The keys that the model at ``path`` has."""
    model: Any = Settings
    for part in path:
        if isinstance(part, str):
            model = {to_camel(name): field.annotation for name, field in model.model_fields.items()}.get(part, model)
        candidates = [kind for kind in (model, *get_args(model)) if isinstance(kind, type) and issubclass(kind, Model)]
        model = candidates[0] if candidates else model
    return [to_camel(name) for name in model.model_fields]

"""Flyte itself: the flyte-binary chart, with its credentials kept out of Helm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components.auth import FlyteAuth
from components.chart import CHART_DIR, check_values
from components.hardening import LABELS, NAME, resources
from components.images import Image
from components.merge import merged
from components.minio import ObjectStore
from components.placement import ANYWHERE, Placement
from components.postgres import Database
from components.secret_manager import SecretManager
from components.sizes import Amount, Resources

# Every object of the chart derives its name from the release's.
RELEASE = "flyte-binary"
HTTP_SERVICE, HTTP_PORT = f"{RELEASE}-http", 8088
GRPC_SERVICE, GRPC_PORT = f"{RELEASE}-grpc", 8089
WEBHOOK_PORT = 9443
SERVICE_ACCOUNT = RELEASE
POD_LABELS = {NAME: RELEASE, "app.kubernetes.io/component": RELEASE}
_CERTIFICATE = "webhook-certificate"

# Secret in every task namespace with `task_store_environment`; task pods get its keys as environment variables.
TASK_STORE_SECRET = "flyte-object-store"  # noqa: S105 (a name)
_TIMEOUT_SECONDS = 600

# As the chart's templates/crds/flyteworkflow.yaml has it.
_WORKFLOWS: k8s.apiextensions.v1.CustomResourceDefinitionSpecArgsDict = {
    "group": "flyte.lyft.com",
    "scope": "Namespaced",
    "names": {"kind": "FlyteWorkflow", "plural": "flyteworkflows", "singular": "flyteworkflow", "short_names": ["fly"]},
    "versions": [
        {
            "name": "v1alpha1",
            "served": True,
            "storage": True,
            "schema": {"open_apiv3_schema": {"type": "object", "x_kubernetes_preserve_unknown_fields": True}},
        }
    ],
}

# Flyte opens this many pools of connections, each as large as `database.maxOpenConnections`:
# admin, signals, scheduler, cluster resources, data catalog.
_POOLS = 5
# Left over for the superuser, probes, backups and people.
_SPARE_CONNECTIONS = 20


@dataclass
class FlyteBinaryArgs:
    """How Flyte is installed."""

    namespace: pulumi.Input[str]
    # For what a cluster has once: one that takes over nothing that another Flyte may have made.
    cluster_provider: pulumi.ProviderResource
    # Name of the Secret with the certificate of the secrets webhook.
    certificate: pulumi.Input[str]
    # Runs before every installation and upgrade of the release.
    before_release: pulumi.ResourceHook
    # What has to be there before Flyte and may only be deleted after it.
    requires: Sequence[pulumi.Resource]
    # Path of the verified chart archive.
    chart: str
    database: Database
    store: ObjectStore
    # By name: flyte, copilot, and postgres, whose pg_isready waits for the database.
    images: Mapping[str, Image]
    # Projects to register in Flyte: name to description.
    projects: Mapping[str, str]
    domains: Sequence[str]
    # In Flyte's notation, such as "{{ project }}-{{ domain }}".
    namespace_template: str
    resources: Resources
    # The most that a task may ask for.
    task_maximum: Amount
    # Where the webhook takes the secrets of tasks from.
    secret_manager: SecretManager
    # The login; None: whoever reaches Flyte may do everything.
    auth: FlyteAuth | None = None
    # Links from tasks to their logs: the chart's ``configuration.logging.plugins``.
    log_links: Mapping[str, Any] = field(default_factory=dict)
    # For the controller of an ingress.
    grpc_service_annotations: Mapping[str, str] = field(default_factory=dict)
    # 1 fatal to 5 debug.
    log_level: int = 3
    max_parallelism: int = 25
    # Flyte ignores SIGTERM, so every restart takes this long.
    termination_grace_period_seconds: int = 10
    # ``chart``: the chart makes its own ClusterRole, with which Flyte can make namespaces.
    rights: Literal["minimal", "chart"] = "minimal"
    # Whether Pulumi refuses to delete Flyte. It is the first that a destroy would delete, so that nothing goes at all.
    protect: bool = False
    placement: Placement = ANYWHERE
    # Merged over all other values.
    values: Mapping[str, Any] = field(default_factory=dict)


class FlyteBinary(pulumi.ComponentResource):
    """The flyte-binary release, its credentials, and the definition of its workflows.

    ``namespace`` is that of the services, available once Flyte is ready.
    """

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: FlyteBinaryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:FlyteBinary", name, None, opts)
        credentials = k8s.core.v1.Secret(
            f"{name}-config",
            metadata={"namespace": args.namespace, "labels": LABELS},
            # Named by Pulumi: other credentials are another name in the pod template, which restarts Flyte. The chart
            # hashes only what it renders itself.
            immutable=True,
            string_data={
                # Flyte merges its files in the order of their names; these come after all of the chart's.
                "202-database.yaml": pulumi.Output.secret(args.database.password).apply(_database_file),
                "203-storage.yaml": pulumi.Output.secret(args.store.key.secret_key).apply(
                    lambda key: _storage_file(args.store.key.access_key, key)
                ),
                **({"204-auth.yaml": args.auth.clients} if args.auth else {}),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        values = pulumi.Output.all(
            host=args.database.host,
            endpoint=args.store.endpoint,
            credentials=credentials.metadata.name,
            certificate=args.certificate,
            login=args.auth.secret if args.auth else "",
        ).apply(lambda known: _values(args, **known))
        release = k8s.helm.v3.Release(
            name,
            name=RELEASE,
            namespace=args.namespace,
            chart=args.chart,
            values=values,
            timeout=_TIMEOUT_SECONDS,
            # A failed install or upgrade is rolled back, not left half done.
            atomic=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=args.requires,
                hooks=pulumi.ResourceHookBinding(
                    before_create=[args.before_release], before_update=[args.before_release]
                ),
            ),
        )
        # After Flyte, so that destroy takes it away before Flyte: the API server then deletes every workflow, Flyte
        # aborts those that run, and only then is Flyte itself removed. The other way round nobody would be left to
        # release the workflows, and their namespaces would never go. Flyte waits for it at its start.
        workflows = k8s.apiextensions.v1.CustomResourceDefinition(
            f"{name}-workflows",
            metadata={"name": "flyteworkflows.flyte.lyft.com", "labels": LABELS},
            spec=_WORKFLOWS,
            opts=pulumi.ResourceOptions(
                parent=self, provider=args.cluster_provider, protect=args.protect, depends_on=[release]
            ),
        )
        self.namespace = pulumi.Output.all(release.status.namespace, workflows.metadata.name).apply(
            lambda known: str(known[0])
        )
        self.register_outputs({"namespace": self.namespace})


def task_store_environment(store: ObjectStore) -> dict[str, dict[str, pulumi.Input[str]]]:
    """For each namespace, the environment by which flytekit and the co-pilot in a task pod reach the object store.

    https://docs-legacy.flyte.org/en/latest/api/flytekit/configuration.html (``FLYTE_AWS_*``)
    """
    return {
        namespace: {
            "FLYTE_AWS_ENDPOINT": store.endpoint,
            "FLYTE_AWS_ACCESS_KEY_ID": key.access_key,
            "FLYTE_AWS_SECRET_ACCESS_KEY": key.secret_key,
        }
        for namespace, key in store.task_keys.items()
    }


def _database_file(password: str) -> str:
    return yaml.safe_dump({"database": {"postgres": {"password": password}}})


def _storage_file(access_key: str, secret_key: str) -> str:
    config = {"auth_type": "accesskey", "access_key_id": access_key, "secret_key": secret_key}
    return yaml.safe_dump({"storage": {"stow": {"config": config}}})


def _values(
    args: FlyteBinaryArgs, host: str, endpoint: str, credentials: str, certificate: str, login: str
) -> dict[str, Any]:
    """The chart's values: the static file, what depends on the stack, and the stack's own additions, in this order."""
    static = yaml.safe_load((CHART_DIR / "values.yaml").read_text())
    secrets = args.secret_manager.configuration
    connections = (args.database.max_connections - _SPARE_CONNECTIONS) // _POOLS
    dynamic = {
        "flyte-core-components": {
            "admin": {
                # Both, otherwise the chart's own example project comes back.
                "seedProjects": list(args.projects),
                "seedProjectsWithDetails": [
                    {"name": name, "description": _literal(text)} for name, text in args.projects.items()
                ],
            }
        },
        "configuration": {
            "database": {
                "host": host,
                "port": args.database.port,
                "dbname": args.database.name,
                "username": args.database.username,
            },
            "storage": {
                "metadataContainer": args.store.bucket,
                "userDataContainer": args.store.bucket,
                "providerConfig": {"s3": {"endpoint": endpoint}},
            },
            "logging": {"level": args.log_level, "plugins": args.log_links},
            "co-pilot": {"image": args.images["copilot"].helm},
            "inlineSecretRef": credentials,
            "inline": {
                "database": {"maxOpenConnections": connections, "maxIdleConnections": min(connections, 5)},
                "domains": [{"id": domain, "name": domain} for domain in args.domains],
                "flyteadmin": {"maxParallelism": args.max_parallelism},
                "namespace_mapping": {"template": _literal(args.namespace_template)},
                "plugins": {"k8s": {"default-env-from-secrets": [TASK_STORE_SECRET]}},
                "storage": {"signedURL": {"stowConfigOverride": {"endpoint": args.store.client_endpoint}}},
                "task_resources": {"limits": args.task_maximum.by_name},
                "secrets": secrets["secrets"],
                "webhook": {**secrets["webhook"], "secretName": certificate},
            },
        },
        "deployment": {
            "image": args.images["flyte"].helm,
            "waitForDB": {"image": args.images["postgres"].helm},
            "resources": resources(args.resources),
            "extraPodSpec": {
                "terminationGracePeriodSeconds": args.termination_grace_period_seconds,
                "enableServiceLinks": False,
                **args.placement.values,
            },
            "extraVolumes": [{"name": _CERTIFICATE, "secret": {"secretName": certificate, "defaultMode": 0o440}}],
        },
        "rbac": {"create": args.rights == "chart"},
        "service": {"grpcAnnotations": args.grpc_service_annotations},
    }
    auth: dict[str, Any] = {}
    if args.auth:
        auth = {"configuration": {"inline": args.auth.configuration}, "deployment": args.auth.deployment(login)}
    values = merged(merged(merged(static, dynamic), auth), args.values)
    for name in ("extraVolumes", "extraVolumeMounts", "extraEnvVars"):  # in addition: Flyte needs its own
        layers: tuple[Mapping[str, Any], ...] = (static, dynamic, auth, args.values)
        values["deployment"][name] = [item for layer in layers for item in layer.get("deployment", {}).get(name, [])]
    check_values(values)
    return values


def _literal(text: str) -> str:
    """``text`` such that Helm's ``tpl``, through which the chart sends these values, gives it back unchanged."""
    return text.replace("{{", "{{`{{`}}")

"""The values of the flyte-binary chart."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from components.database import AUTHORITY, Database
from components.flyte.auth import FlyteAuth
from components.flyte.log_links import log_link_plugins
from components.flyte.mail import FlyteMail
from components.flyte.storage import STORE_TRUST, store_values
from components.object_store import ObjectStore
from components.pods import Platform, placement_values, resources, toleration_fields
from settings.chart import CHART_DIR
from settings.chart_values import check_values
from settings.ingress import IngressSettings
from settings.merge import merged
from settings.retention import RetentionSettings
from settings.secrets import TASK_STORE_SECRET
from settings.stack import Settings

# Flyte opens this many connection pools, each of up to `database.maxOpenConnections` connections:
# admin, signals, scheduler, cluster resources, data catalog.
_POOLS = 5
# Lists of which Flyte needs its own entries, so that those of the stack are added to them.
_ADDED_UP = ("extraVolumes", "extraVolumeMounts", "extraEnvVars", "initContainers")
# Flyte's own default of max-ttl-hours.
_FINISHED_HOURS = 23
_AUTHORITY = "/etc/flyte-database"
# Connections left for the superuser, probes, backups and people.
_SPARE_CONNECTIONS = 20


@dataclass(frozen=True)
class FlyteConfiguration:
    """Everything that decides how Flyte is configured."""

    settings: Settings
    """All settings of the stack: most of them have a place in Flyte's configuration."""
    database: Database
    store: ObjectStore
    auth: FlyteAuth | None
    """The login; None: anyone who reaches Flyte may do everything."""
    mail: FlyteMail | None
    """Mails about executions; None: there are none."""


def chart_values(
    platform: Platform,
    configuration: FlyteConfiguration,
    host: str,
    database_authority: str,
    endpoint: str,
    store_authority: str,
    credentials: str,
    login: str,
    mail: str,
    pull_secrets: Sequence[str],
    catch_up: Mapping[str, Any],
) -> dict[str, Any]:
    """The chart's values: the static file, what depends on the stack, and the stack's own values, in this order.

    Args:
        platform: where Flyte runs.
        configuration: how Flyte is configured.
        host: host name of the database.
        database_authority: name of the Secret with the certificate of the database's authority; empty: there is none.
        endpoint: address of the object store; empty: AWS.
        store_authority: name of the ConfigMap with the certificate of the store's authority; empty: there is none.
        credentials: name of the Secret with Flyte's credentials.
        login: name of the Secret with the login's keys; empty without a login.
        mail: name of the Secret for the mail server; empty without mails.
        pull_secrets: names of the Secrets with which the cluster pulls Flyte's image.
        catch_up: values that limit what schedules start after Flyte was away; may be empty.

    Raises:
        SettingsError: a value that the chart or Flyte would silently ignore.
    """
    static = _static_values()
    settings, database, store = configuration.settings, configuration.database, configuration.store
    connections = (database.max_connections - _SPARE_CONNECTIONS) // _POOLS
    dynamic = {
        "flyte-core-components": {
            "admin": {
                # Set both, otherwise the chart creates its own example project.
                "seedProjects": [project.name for project in settings.projects],
                "seedProjectsWithDetails": [
                    {"name": project.name, "description": _literal(project.description)}
                    for project in settings.projects
                ],
            }
        },
        "configuration": {
            "database": {
                "host": host,
                "port": database.port,
                "dbname": database.name,
                "username": database.username,
            },
            "storage": {
                "metadataContainer": store.bucket,
                "userDataContainer": store.bucket,
            },
            "logging": {"level": settings.flyte.log_level, "plugins": log_link_plugins(settings.log_links)},
            "co-pilot": {"image": platform.images["copilot"].helm},
            "inlineSecretRef": credentials,
            "inline": {
                "database": {"maxOpenConnections": connections, "maxIdleConnections": min(connections, 5)},
                "domains": [{"id": domain, "name": domain} for domain in settings.domains],
                "flyteadmin": {"maxParallelism": settings.flyte.max_parallelism},
                "namespace_mapping": {"template": _literal(settings.flyte_namespace_template)},
                "plugins": {"k8s": {"default-env-from-secrets": [TASK_STORE_SECRET]}},
                "task_resources": {"limits": settings.tasks.maximum.by_name},
            },
        },
        "deployment": {
            "image": platform.images["flyte"].helm,
            "waitForDB": {"image": platform.images["postgres"].helm},
            "resources": resources(settings.flyte.resources),
            "extraPodSpec": {
                "terminationGracePeriodSeconds": settings.flyte.termination_grace_period_seconds,
                "enableServiceLinks": False,
                **placement_values(platform.placement),
            },
        },
        "rbac": {"create": settings.flyte.rights == "chart"},
        "service": {"grpcAnnotations": _grpc_annotations(settings.ingress)},
    }
    auth: dict[str, Any] = {}
    if configuration.auth:
        auth = {
            "configuration": {"inline": configuration.auth.configuration},
            "deployment": configuration.auth.deployment(login),
        }
    mails: dict[str, Any] = {}
    if configuration.mail:
        mails = {
            "configuration": {"inline": _literals(configuration.mail.configuration)},
            "deployment": configuration.mail.deployment(mail),
        }
    layers: tuple[Mapping[str, Any], ...] = (
        static,
        dynamic,
        _database_tls(database, database_authority),
        store_values(store, endpoint, store_authority),
        _retention_values(settings.retention),
        _gpu_values(settings),
        _pull_values(pull_secrets),
        auth,
        mails,
        _trust(configuration, store_authority),
        catch_up,
        settings.flyte_values,
    )
    values: dict[str, Any] = {}
    for layer in layers:
        values = merged(values, layer)
    for name in _ADDED_UP:
        values["deployment"][name] = [item for layer in layers for item in layer.get("deployment", {}).get(name, [])]
    if not values["deployment"]["initContainers"]:
        del values["deployment"]["initContainers"]
    check_values(values)
    return values


@functools.cache
def _static_values() -> Mapping[str, Any]:
    values: Mapping[str, Any] = yaml.safe_load((CHART_DIR / "values.yaml").read_text())
    return values


def _database_tls(database: Database, authority: str) -> dict[str, Any]:
    """How Flyte checks the server of the database; empty for the bundled one, which is in the same namespace."""
    if database.tls == "disable":
        return {}
    options = f"sslmode={database.tls}"
    if not authority:
        return {"configuration": {"database": {"options": options}}}
    items = [{"key": AUTHORITY, "path": AUTHORITY}]
    volume = {"name": "database-authority", "secret": {"secretName": authority, "defaultMode": 0o444, "items": items}}
    mount = {"name": "database-authority", "mountPath": _AUTHORITY, "readOnly": True}
    return {
        "configuration": {"database": {"options": f"{options} sslrootcert={_AUTHORITY}/{AUTHORITY}"}},
        "deployment": {"extraVolumes": [volume], "extraVolumeMounts": [mount]},
    }


def _retention_values(retention: RetentionSettings) -> dict[str, Any]:
    """How long Flyte's engine keeps what has finished; empty for Flyte's own defaults."""
    inline: dict[str, Any] = {}
    if retention.finished_hours != _FINISHED_HOURS:
        inline["propeller"] = {"max-ttl-hours": retention.finished_hours}
    if retention.finished_pods == "delete":
        inline["plugins"] = {"k8s": {"delete-resource-on-finalize": True}}
    return {"configuration": {"inline": inline}} if inline else {}


def _gpu_values(settings: Settings) -> dict[str, Any]:
    """How Flyte requests GPUs; empty if no project has any.

    https://docs-legacy.flyte.org/en/latest/user_guide/productionizing/configuring_access_to_gpus.html
    """
    if not settings.most_gpus:
        return {}
    gpus = settings.gpus
    k8s: dict[str, Any] = {
        "gpu-resource-name": gpus.resource_name,
        "gpu-device-node-label": gpus.device_label,
        "gpu-partition-size-node-label": gpus.partition_label,
    }
    if gpus.tolerations:
        # A list, because Flyte would take the dots in the key of a map for levels
        # (https://github.com/flyteorg/flyte/blob/v1.16.8/flytestdlib/config/viper/viper.go, sliceToMapHook).
        k8s["resource-tolerations"] = [
            {gpus.resource_name: [toleration_fields(toleration) for toleration in gpus.tolerations]}
        ]
    limits = {"limits": {"gpu": str(settings.most_gpus)}}
    return {"configuration": {"inline": {"plugins": {"k8s": k8s}, "task_resources": limits}}}


def _pull_values(names: Sequence[str]) -> dict[str, Any]:
    """Secrets with which the cluster pulls Flyte's image; empty without any."""
    if not names:
        return {}
    return {"deployment": {"extraPodSpec": {"imagePullSecrets": [{"name": name} for name in names]}}}


def _trust(configuration: FlyteConfiguration, store_authority: str) -> dict[str, Any]:
    """Folders with the certificates of private authorities, which Flyte trusts besides its image's own bundle.

    https://pkg.go.dev/crypto/x509#SystemCertPool
    """
    parts = (configuration.auth, configuration.mail)
    folders = [part.trust_folder for part in parts if part and part.trust_folder]
    folders += [STORE_TRUST] if store_authority else []
    if not folders:
        return {}
    return {"deployment": {"extraEnvVars": [{"name": "SSL_CERT_DIR", "value": ":".join(folders)}]}}


def _literals(value: Any) -> Any:
    """``value`` with every text escaped, see :func:`_literal`."""
    if isinstance(value, Mapping):
        return {key: _literals(item) for key, item in value.items()}
    return _literal(value) if isinstance(value, str) else value


def _grpc_annotations(ingress: IngressSettings) -> dict[str, str]:
    """Annotations of Flyte's gRPC Service with which the ingress controller speaks HTTP/2 without TLS to it.

    https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/#on-service
    """
    if ingress.controller != "traefik":
        return {}
    return {"traefik.ingress.kubernetes.io/service.serversscheme": "h2c"}


def _literal(text: str) -> str:
    """``text`` escaped for Helm's ``tpl``, which the chart applies to these values."""
    return text.replace("{{", "{{`{{`}}")

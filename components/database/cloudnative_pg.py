"""Flyte's database in a cluster of the operator CloudNativePG."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.database import names
from components.database.client import connect_script, connection, credentials_volume
from components.database.database import AUTHORITY, PASSWORD, Database
from components.database.postgres import PORT, PostgresArgs
from components.database.server_certificate import server_certificate
from components.pods import (
    LABELS,
    Platform,
    awaited_job,
    container_security,
    generated_password,
    labels,
    patience,
    pod_security,
    resources,
    script_config_map,
    toleration_fields,
)
from settings.cloudnative_pg import Archive
from settings.quantities import Resources, default_resources

API = "postgresql.cnpg.io/v1"
"""Version of the operator's API."""
OWNER, CERTIFICATE, ARCHIVE = "postgres-owner", "postgres-certificate", "postgres-archive"
"""Names of the Secrets of the cluster, which cannot change, because the operator follows their content."""
_DATABASE = _ROLE = "flyte"
# The operator applies a changed Secret with this label
# (https://cloudnative-pg.io/docs/1.30/declarative_role_management#password-management).
_FOLLOWED = {**LABELS, "cnpg.io/reload": "true"}
_PLUGIN = "barman-cloud.cloudnative-pg.io"
_USER, _CREDENTIALS, _SCRIPTS = 65534, "/run/secrets/database", "/scripts"
_RESOURCES: Resources = default_resources("10m", "32Mi", "500m", "64Mi")


class CloudNativePostgres(pulumi.ComponentResource):
    """A cluster of PostgreSQL servers with the database ``flyte``, owned by the role ``flyte``.

    The operator runs the servers, copies the data between them and lets a standby take over. It must be installed,
    which ``make up`` checks (`ops.lib.operator_check`). Nobody has the password of the superuser.

    The certificate of the servers is the stack's own. That of the operator would be renewed every 90 days, and Flyte
    reads the authority only when it starts.
    """

    database: Database
    """The database for Flyte. The component is ready when it lets Flyte in."""

    def __init__(self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:CloudNativePostgres", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace, generations = args.platform.namespace, args.generations
        password = (
            pulumi.Output.secret(args.password)
            if args.password
            else generated_password(f"{name}-password", 32, child, generations.postgres)
        )
        seed = generated_password(f"{name}-key", 64, child, generations.postgres_superuser)
        pair = pulumi.Output.all(seed, namespace).apply(lambda known: server_certificate(known[0], _hosts(known[1])))
        certificate = pulumi.Output.unsecret(pair.apply(lambda pair: pair[0]))
        followed: list[pulumi.Resource] = [
            k8s.core.v1.Secret(
                f"{name}-owner",
                metadata={"name": OWNER, "namespace": namespace, "labels": _FOLLOWED},
                type="kubernetes.io/basic-auth",
                string_data={"username": _ROLE, "password": password},
                opts=child,
            ),
            k8s.core.v1.Secret(
                f"{name}-certificate",
                metadata={"name": CERTIFICATE, "namespace": namespace, "labels": _FOLLOWED},
                type="kubernetes.io/tls",
                string_data={
                    "tls.crt": certificate,
                    "tls.key": pair.apply(lambda pair: pair[1]),
                    AUTHORITY: certificate,
                },
                opts=child,
            ),
        ]
        if args.settings.cloudnative_pg.archive.destination:
            followed += _archive(name, args, child)
        cluster = k8s.apiextensions.CustomResource(
            name,
            api_version=API,
            kind="Cluster",
            metadata={
                "name": names.CLUSTER,
                "namespace": namespace,
                "labels": LABELS,
                "annotations": {"pulumi.com/waitFor": "condition=Ready"},
            },
            spec=_spec(args),
            opts=pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions.merge(args.platform.safekeeping.options(self), patience()),
                pulumi.ResourceOptions(depends_on=followed),
            ),
        )
        credentials = k8s.core.v1.Secret(
            f"{name}-credentials",
            metadata={"namespace": namespace, "labels": labels(names.CREDENTIALS)},
            # Named by Pulumi: another password or certificate means another name, which restarts what uses them.
            immutable=True,
            string_data={PASSWORD: password, AUTHORITY: certificate},
            opts=child,
        )
        self.database = Database(
            pulumi.Output.concat(names.CLUSTER, "-rw.", namespace, ".svc"),
            PORT,
            _DATABASE,
            _ROLE,
            password,
            credentials.metadata.name,
            args.settings.max_connections,
            superuser=False,
            tls="verify-full",
            authority=credentials.metadata.name,
        )
        _login(f"{name}-login", args.platform, self.database, cluster, self)
        self.register_outputs(self.database.outputs)


def _hosts(namespace: str) -> list[str]:
    """The names of the Services through which clients and standbys reach the servers."""
    services = [f"{names.CLUSTER}-{kind}" for kind in ("rw", "r", "ro")]
    ends = ["", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local"]
    return [f"{service}{end}" for service in services for end in ends]


def _spec(args: PostgresArgs) -> dict[str, Any]:
    """The spec of the Cluster: https://cloudnative-pg.io/docs/1.30/cloudnative-pg.v1#clusterspec"""
    settings, platform, chosen = args.settings, args.platform, args.settings.cloudnative_pg
    postgresql: dict[str, Any] = {"parameters": {"max_connections": str(settings.max_connections)}}
    if chosen.synchronous:
        required = chosen.durability == "required"
        postgresql["synchronous"] = {
            "method": "any",
            "number": 1,
            "dataDurability": chosen.durability,
            # Without it, a standby that lacks the last commits could take over while the one that has them is away.
            "failoverQuorum": required,
        }
    spec: dict[str, Any] = {
        "instances": chosen.instances,
        "imageName": platform.images["postgresCluster"].reference,
        "imagePullPolicy": "IfNotPresent",
        "enableSuperuserAccess": False,
        # It would keep the node of a single server from being drained.
        "enablePDB": chosen.synchronous,
        "bootstrap": {
            "initdb": {
                "database": _DATABASE,
                "owner": _ROLE,
                "secret": {"name": OWNER},
                "dataChecksums": True,
                "encoding": "UTF8",
            }
        },
        "certificates": {"serverTLSSecret": CERTIFICATE, "serverCASecret": CERTIFICATE},
        "postgresql": postgresql,
        "storage": {
            "size": settings.volume.size,
            **({"storageClass": settings.volume.storage_class} if settings.volume.storage_class else {}),
        },
        "resources": resources(settings.resources),
        "affinity": _affinity(args),
    }
    if platform.pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret} for secret in platform.pull_secrets]
    if chosen.archive.destination:
        parameters = {"barmanObjectName": ARCHIVE}
        spec["plugins"] = [{"name": _PLUGIN, "isWALArchiver": True, "parameters": parameters}]
    return spec


def _affinity(args: PostgresArgs) -> dict[str, Any]:
    """On which nodes the instances run."""
    placement = args.platform.placement
    affinity: dict[str, Any] = {
        "podAntiAffinityType": args.settings.cloudnative_pg.spread,
        "topologyKey": "kubernetes.io/hostname",
    }
    if placement.node_selector:
        affinity["nodeSelector"] = dict(placement.node_selector)
    if placement.tolerations:
        affinity["tolerations"] = [toleration_fields(toleration) for toleration in placement.tolerations]
    return affinity


def _archive(name: str, args: PostgresArgs, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """The place of the archive, its key, and the schedule of the base backups.

    https://cloudnative-pg.io/plugin-barman-cloud/docs/usage/
    """
    archive, namespace = args.settings.cloudnative_pg.archive, args.platform.namespace
    keys: dict[str, pulumi.Input[str]] = {
        "ACCESS_KEY_ID": archive.access_key_id,
        "SECRET_ACCESS_KEY": pulumi.Output.secret(args.archive_key),
        **({"REGION": archive.region} if archive.region else {}),
        **({AUTHORITY: archive.certificate_authority} if archive.certificate_authority else {}),
    }
    secret = k8s.core.v1.Secret(
        f"{name}-archive",
        metadata={"name": ARCHIVE, "namespace": namespace, "labels": _FOLLOWED},
        string_data=keys,
        opts=opts,
    )
    store = k8s.apiextensions.CustomResource(
        f"{name}-archive",
        api_version="barmancloud.cnpg.io/v1",
        kind="ObjectStore",
        metadata={"name": ARCHIVE, "namespace": namespace, "labels": LABELS},
        spec={"configuration": _configuration(archive), "retentionPolicy": f"{archive.keep_days}d"},
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[secret])),
    )
    schedule = k8s.apiextensions.CustomResource(
        f"{name}-base-backups",
        api_version=API,
        kind="ScheduledBackup",
        metadata={"name": ARCHIVE, "namespace": namespace, "labels": LABELS},
        spec={
            "cluster": {"name": names.CLUSTER},
            # The operator's notation begins with the seconds.
            "schedule": f"0 {archive.schedule}",
            # The log alone restores nothing.
            "immediate": True,
            "backupOwnerReference": "self",
            "method": "plugin",
            "pluginConfiguration": {"name": _PLUGIN},
        },
        opts=opts,
    )
    return [store, schedule]


def _configuration(archive: Archive) -> dict[str, Any]:
    def key(name: str) -> dict[str, str]:
        return {"name": ARCHIVE, "key": name}

    credentials = {"accessKeyId": key("ACCESS_KEY_ID"), "secretAccessKey": key("SECRET_ACCESS_KEY")}
    if archive.region:
        credentials["region"] = key("REGION")
    configuration: dict[str, Any] = {
        "destinationPath": archive.destination,
        "s3Credentials": credentials,
        "wal": {"compression": "gzip"},
        "data": {"compression": "gzip"},
    }
    if archive.endpoint:
        configuration["endpointURL"] = archive.endpoint
    if archive.certificate_authority:
        configuration["endpointCA"] = key(AUTHORITY)
    return configuration


def _login(
    name: str, platform: Platform, database: Database, cluster: pulumi.Resource, parent: pulumi.Resource
) -> None:
    """A Job that ends when the servers let Flyte in, so that whatever depends on the component waits for it."""
    opts = pulumi.ResourceOptions(parent=parent, depends_on=[cluster])
    scripts = script_config_map(f"{name}-scripts", platform.namespace, "database", opts, connect_script())
    environment = connection(database, _CREDENTIALS, _SCRIPTS)
    container: k8s.core.v1.ContainerArgsDict = {
        "name": "login",
        "image": platform.images["postgres"].reference,
        "image_pull_policy": "IfNotPresent",
        "command": ["/bin/sh", f"{_SCRIPTS}/await.sh"],
        "env": [{"name": variable, "value": value} for variable, value in environment.items()],
        "resources": resources(_RESOURCES),
        "security_context": container_security(),
        "volume_mounts": [
            {"name": "credentials", "mount_path": _CREDENTIALS, "read_only": True},
            {"name": "scripts", "mount_path": _SCRIPTS, "read_only": True},
        ],
    }
    pod: k8s.core.v1.PodSpecArgsDict = {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "restart_policy": "Never",
        "termination_grace_period_seconds": 1,
        "security_context": pod_security(_USER),
        "containers": [container],
        "volumes": [
            credentials_volume("credentials", database),
            {"name": "scripts", "config_map": {"name": scripts.metadata.name}},
        ],
    }
    awaited_job(name, platform.namespace, names.CHECK, platform.pod(pod), opts)

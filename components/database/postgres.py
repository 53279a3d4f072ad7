"""Flyte's database: PostgreSQL in one pod."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.database.database import PASSWORD, Database
from components.pods import (
    LABELS,
    Platform,
    container_security,
    empty_dir,
    generated_password,
    pod_security,
    resources,
    script_config_map,
    stateful_server,
    volume_claim,
)
from paths import ROOT
from settings.secrets import Generations
from settings.servers import PostgresSettings, database_claim

SERVICE, PORT = "postgres", 5432
"""Name of the Service and of the pods' label, and its port."""
_MONITOR_SCRIPT = "monitor-role.sh"
_UID = 999  # user "postgres" in the official Debian-based image, which declares no USER
_CREDENTIALS = "/run/secrets/postgres"
_MONITOR = "/run/secrets/monitor"
_DATA = "/var/lib/postgresql/data"
MONITOR, MONITOR_PASSWORD = "monitoring", "password"
"""Name of the role that reads statistics, and key of its password in its Secret."""


@dataclass(frozen=True)
class PostgresArgs:
    """How the database runs."""

    platform: Platform
    settings: PostgresSettings
    generations: Generations
    password: str
    """Password of the role flyte; empty: Pulumi generates one."""
    monitored: bool = False
    """Whether there is a role that reads statistics, for the monitoring."""
    archive_key: str = ""
    """Secret key of the store with the archive of the mode cloudnative-pg."""


class Postgres(pulumi.ComponentResource):
    """A PostgreSQL server with the database ``flyte``, owned by the role ``flyte``, which is not a superuser.

    A changed password means a new Secret name and so a new pod, which sets the roles' passwords to the mounted ones
    when it starts (scripts/postgres/ensure-roles.sh). The pod is ready only when a login with the password succeeds.
    """

    database: Database
    """The database for Flyte, known before the server is ready."""
    monitor: pulumi.Output[str] | None = None
    """Name of the Secret with the password of the role `MONITOR`; None if there is no such role."""

    def __init__(self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Postgres", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        platform, settings, generations = args.platform, args.settings, args.generations

        superuser_password = generated_password(f"{name}-superuser-password", 32, child, generations.postgres_superuser)
        password = (
            pulumi.Output.secret(args.password)
            if args.password
            else generated_password(f"{name}-password", 32, child, generations.postgres)
        )
        credentials = k8s.core.v1.Secret(
            f"{name}-credentials",
            metadata={"namespace": platform.namespace, "labels": LABELS},
            immutable=True,
            string_data={"superuser-password": superuser_password, PASSWORD: password},
            opts=child,
        )
        more_scripts = {}
        if args.monitored:
            self.monitor = _monitor_secret(f"{name}-monitor", platform, generations, child)
            more_scripts = {_MONITOR_SCRIPT: (ROOT / "scripts" / "monitoring" / _MONITOR_SCRIPT).read_text()}
        scripts = script_config_map(f"{name}-scripts", platform.namespace, "postgres", child, more_scripts)
        claims = {
            generation: volume_claim(
                database_claim(generation),
                platform.namespace,
                settings.volume,
                platform.safekeeping,
                self,
                untouched=generation != settings.volume_generation,
            )
            for generation in settings.generations
        }
        claim = claims[settings.volume_generation].metadata.name
        pod = _pod(args, credentials.metadata.name, scripts.metadata.name, claim, self.monitor)
        server = stateful_server(
            name,
            platform.namespace,
            ("postgresql", PORT),
            platform.pod(pod),
            platform.safekeeping,
            self,
        )
        self.database = Database(
            server.host,
            PORT,
            "flyte",
            "flyte",
            password,
            credentials.metadata.name,
            settings.max_connections,
            superuser=True,
        )
        self.register_outputs({**self.database.outputs, "server": server.stateful_set.metadata.name})


def _monitor_secret(
    name: str, platform: Platform, generations: Generations, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Name of a Secret with the password of the role `MONITOR`."""
    password = generated_password(f"{name}-password", 32, opts, generations.monitoring)
    secret = k8s.core.v1.Secret(
        name,
        metadata={"namespace": platform.namespace, "labels": LABELS},
        immutable=True,
        string_data={MONITOR_PASSWORD: password},
        opts=opts,
    )
    return secret.metadata.name


def _pod(
    args: PostgresArgs,
    credentials: pulumi.Input[str],
    scripts: pulumi.Input[str],
    claim: pulumi.Input[str],
    monitor: pulumi.Input[str] | None,
) -> k8s.core.v1.PodSpecArgsDict:
    started = ["/bin/sh", "/scripts/ensure-roles.sh"]
    variables: list[k8s.core.v1.EnvVarArgsDict] = []
    mounts: list[k8s.core.v1.VolumeMountArgsDict] = []
    volumes: list[k8s.core.v1.VolumeArgsDict] = []
    if monitor:
        started = ["/bin/sh", "-c", f"{' '.join(started)} && exec /bin/sh /scripts/{_MONITOR_SCRIPT}"]
        variables.append({"name": "MONITOR", "value": _MONITOR})
        mounts.append({"name": "monitor", "mount_path": _MONITOR, "read_only": True})
        volumes.append({"name": "monitor", "secret": {"secret_name": monitor, "default_mode": 0o440}})
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        # A fast shutdown writes a checkpoint, which takes long on a slow disk.
        "termination_grace_period_seconds": 120,
        "security_context": pod_security(_UID),
        "containers": [
            {
                "name": "postgres",
                "image": args.platform.images["postgres"].reference,
                "image_pull_policy": "IfNotPresent",
                "args": ["postgres", "-c", f"max_connections={args.settings.max_connections}"],
                "env": [
                    {"name": "PGDATA", "value": f"{_DATA}/pgdata"},
                    {"name": "POSTGRES_PASSWORD_FILE", "value": f"{_CREDENTIALS}/superuser-password"},
                    {
                        # Flyte cannot run with any other encoding than UTF8.
                        "name": "POSTGRES_INITDB_ARGS",
                        "value": "--data-checksums --encoding=UTF8 --auth-host=scram-sha-256",
                    },
                    {"name": "CREDENTIALS", "value": _CREDENTIALS},
                    *variables,
                ],
                "ports": [{"name": "postgresql", "container_port": PORT}],
                "resources": resources(args.settings.resources),
                "security_context": container_security(),
                "lifecycle": {
                    "post_start": {"exec_": {"command": started}},
                    "pre_stop": {"exec_": {"command": ["/bin/sh", "/scripts/stop.sh"]}},
                },
                # Only the startup probe logs in; the others ask the postmaster, which costs the database nothing.
                "startup_probe": {
                    "exec_": {"command": ["/bin/sh", "/scripts/login.sh"]},
                    "period_seconds": 1,
                    "timeout_seconds": 5,
                    "failure_threshold": 600,
                },
                "readiness_probe": {
                    "exec_": {"command": ["pg_isready", "-q", "-h", "127.0.0.1"]},
                    "period_seconds": 15,
                    "timeout_seconds": 5,
                },
                "liveness_probe": {
                    "exec_": {"command": ["pg_isready", "-q", "-h", "127.0.0.1"]},
                    "period_seconds": 30,
                    "timeout_seconds": 10,
                    "failure_threshold": 6,
                },
                "volume_mounts": [
                    {"name": "data", "mount_path": _DATA},
                    {"name": "credentials", "mount_path": _CREDENTIALS, "read_only": True},
                    {"name": "scripts", "mount_path": "/scripts", "read_only": True},
                    {"name": "run", "mount_path": "/var/run/postgresql"},
                    {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 (a volume of the pod)
                    *mounts,
                ],
            }
        ],
        "volumes": [
            {"name": "data", "persistent_volume_claim": {"claim_name": claim}},
            {"name": "credentials", "secret": {"secret_name": credentials, "default_mode": 0o440}},
            {"name": "scripts", "config_map": {"name": scripts}},
            empty_dir("run", "10Mi"),
            empty_dir("tmp", "100Mi"),
            *volumes,
        ],
    }

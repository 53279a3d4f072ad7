"""Flyte's database: PostgreSQL in one pod."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.hardening import LABELS, container_security, empty_dir, pod_security, resources
from components.images import Image
from components.password import generated_password
from components.placement import ANYWHERE, Placement
from components.scripts import script_config_map
from components.sizes import Resources, Volume
from components.stateful_server import stateful_server
from components.volume import Safekeeping, volume_claim

SERVICE, PORT = "postgres", 5432
_UID = 999  # "postgres" in the official Debian-based image, which declares no USER
_CREDENTIALS = "/run/secrets/postgres"
_DATA = "/var/lib/postgresql/data"


@dataclass(frozen=True)
class Database:
    """A database and the login that owns it."""

    host: pulumi.Input[str]
    port: int
    name: str
    username: str
    password: pulumi.Input[str]
    # Connections the server accepts in all.
    max_connections: int


@dataclass
class PostgresArgs:
    """How the database is run."""

    namespace: pulumi.Input[str]
    # An official postgres image, version 17.
    image: Image
    safekeeping: Safekeeping
    volume: Volume
    resources: Resources
    # Password of the role flyte; None: one is generated.
    password: pulumi.Input[str] | None = None
    # Another generation is another generated password.
    generation: int = 1
    superuser_generation: int = 1
    max_connections: int = 100
    placement: Placement = ANYWHERE


class Postgres(pulumi.ComponentResource):
    """A PostgreSQL server with the database ``flyte``, owned by the role ``flyte``, which is no superuser.

    A changed password gets a new Secret name and so a new pod, whose start sets the roles' passwords to what is
    mounted (scripts/postgres/ensure-roles.sh); the pod is ready only when a login with it succeeds.
    """

    database: Database

    def __init__(self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Postgres", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        superuser_password = generated_password(f"{name}-superuser-password", 32, child, args.superuser_generation)
        password = (
            pulumi.Output.secret(args.password)
            if args.password is not None
            else generated_password(f"{name}-password", 32, child, args.generation)
        )
        credentials = k8s.core.v1.Secret(
            f"{name}-credentials",
            metadata={"namespace": args.namespace, "labels": LABELS},
            immutable=True,
            string_data={"superuser-password": superuser_password, "flyte-password": password},
            opts=child,
        )
        scripts = script_config_map(f"{name}-scripts", args.namespace, "postgres", child)
        claim = volume_claim(f"{name}-data", args.namespace, args.volume, args.safekeeping, self)
        pod = args.placement.of(_pod(args, credentials.metadata.name, scripts.metadata.name, claim.metadata.name))
        server = stateful_server(name, args.namespace, ("postgresql", PORT), pod, args.safekeeping, self)
        self.database = Database(server.host, PORT, "flyte", "flyte", password, args.max_connections)
        self.register_outputs({"host": server.host, "server": server.stateful_set.metadata.name})


def _pod(
    args: PostgresArgs, credentials: pulumi.Input[str], scripts: pulumi.Input[str], claim: pulumi.Input[str]
) -> k8s.core.v1.PodSpecArgsDict:
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        # A fast shutdown writes a checkpoint, which a slow disk makes long.
        "termination_grace_period_seconds": 120,
        "security_context": pod_security(_UID),
        "containers": [
            {
                "name": "postgres",
                "image": args.image.reference,
                "image_pull_policy": "IfNotPresent",
                "args": ["postgres", "-c", f"max_connections={args.max_connections}"],
                "env": [
                    {"name": "PGDATA", "value": f"{_DATA}/pgdata"},
                    {"name": "POSTGRES_PASSWORD_FILE", "value": f"{_CREDENTIALS}/superuser-password"},
                    {
                        # Flyte dies of any other encoding than UTF8.
                        "name": "POSTGRES_INITDB_ARGS",
                        "value": "--data-checksums --encoding=UTF8 --auth-host=scram-sha-256",
                    },
                    {"name": "CREDENTIALS", "value": _CREDENTIALS},
                ],
                "ports": [{"name": "postgresql", "container_port": PORT}],
                "resources": resources(args.resources),
                "security_context": container_security(),
                "lifecycle": {
                    "post_start": {"exec_": {"command": ["/bin/sh", "/scripts/ensure-roles.sh"]}},
                    "pre_stop": {"exec_": {"command": ["/bin/sh", "/scripts/stop.sh"]}},
                },
                # Only the start is proven by a login; after it the probes ask the postmaster, not the database.
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
                ],
            }
        ],
        "volumes": [
            {"name": "data", "persistent_volume_claim": {"claim_name": claim}},
            {"name": "credentials", "secret": {"secret_name": credentials, "default_mode": 0o440}},
            {"name": "scripts", "config_map": {"name": scripts}},
            empty_dir("run", "10Mi"),
            empty_dir("tmp", "100Mi"),
        ],
    }

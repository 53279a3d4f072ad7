"""The backup of a stack: what makes its sets, checks them, restores them, and rehearses that."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from pydantic import SecretStr

from components.backup import names
from components.backup.drill import drill_namespace, drill_servers
from components.backup.steps import STORE_AUTHORITY, Pods, Sources, Step
from components.database import PASSWORD, Database, FlyteDatabase
from components.database.postgres import PORT
from components.object_store import StoreCredentials, StoreForBackup
from components.pods import (
    LABELS,
    Platform,
    generated_password,
    labels,
    pull_secrets,
    script_config_map,
    volume_claim,
)
from paths import ROOT
from settings import Settings
from settings.backup import BackupSettings

# Version of the program, which a set has to be restored with if its format changes.
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
_SECRET = {name for name, field in Settings.model_fields.items() if field.annotation is SecretStr} | {"secret_values"}
_SUPERUSER = {"superuser-password": "superuser-password"}
_OWNER = {PASSWORD: "database-password"}
_CHECK = [Step("check", "restic", "check.sh", "repository", {"ACTION": "check", "AT": "latest"})]


def _backup(database: Database) -> list[Step]:
    """The steps of a backup."""
    login = {"PGUSER": database.username, "PGDATABASE": database.name}
    if not database.superuser:
        login["ONLY_TABLES"] = "public.*"
    return [
        Step("dump", "postgres", "dump.sh", "database", login),
        Step("copy", "mc", "copy.sh", "store"),
        Step("snapshot", "restic", "snapshot.sh", "repository", {"LABEL": "schedule"}, state=True),
    ]


def _restore(database: Database, drill: bool) -> list[Step]:
    """The steps of a restore, each of which needs what the earlier ones have left in the work volume.

    Without a superuser, the set becomes a schema of the database instead of a database of the server.
    """
    swap = {"DRILL": "true" if drill else "false"}
    only: dict[str, pulumi.Input[str]] = {"OBJECTS_ONLY": "false"}
    if not database.superuser:
        only |= {"PGUSER": database.username, "PGDATABASE": database.name}
    kind = "" if database.superuser else "-schema"
    return [
        Step("fetch", "restic", "fetch.sh", "repository", {"AT": "latest"}),
        Step("database", "postgres", f"database{kind}.sh", "database", only),
        Step("list", "mc", "store.sh", "store", {"PART": "list"}),
        Step("compare", "restic", "compare.sh"),
        Step("objects", "mc", "store.sh", "store", {"PART": "objects"}),
        Step("references", "restic", "references.sh"),
        Step("swap", "postgres", f"swap{kind}.sh", "database", {**only, **swap, "RUN_MISSED_SCHEDULES": "false"}),
        Step("result", "restic", "result.sh", "repository", swap),
    ]


@dataclass(frozen=True)
class BackupArgs:
    """What is backed up, and where to."""

    platform: Platform
    settings: Settings
    """All settings, because each set says what its stack was like."""
    stack: str
    """Name of the stack, by which its sets are found in the repository."""
    database: FlyteDatabase
    store: StoreForBackup

    @property
    def about(self) -> dict[str, Any]:
        """What the manifest of each set says about the stack. It has no secrets."""
        settings = self.settings.model_dump(mode="json", by_alias=True, exclude={*_SECRET})
        images = {name: image.reference for name, image in self.platform.images.items()}
        return {"stack": self.stack, "version": VERSION, "images": images, "settings": settings}


class Backup(pulumi.ComponentResource):
    """CronJobs that make a set, check the repository, and rehearse a restore; and the template of a restore.

    A set is one snapshot of restic, encrypted before it leaves the cluster: a dump of the database, a copy of every
    bucket made after it, and a manifest. None of the pods has an account of Kubernetes. The backup itself can only
    read from the database and the object store.
    """

    drill_namespace: pulumi.Output[str]
    """Namespace in which restores are rehearsed, known once it exists."""

    def __init__(self, name: str, args: BackupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Backup", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        platform, settings = args.platform, args.settings.backup
        database, store = args.database.database, args.store
        pods = Pods(platform, settings, args.stack)
        # Without this password, nothing opens the sets but the recovery key: it outlives even a destroy of its stack in
        # the state of the sets.
        password = generated_password(f"{name}-password", 40, child)
        # An SSH key must end with a line break.
        credentials = pulumi.Output.secret(f"{args.settings.backup_credentials.get_secret_value().strip()}\n")
        content = {"password": password, "credentials": credentials}
        access = self._access(f"{name}-access", platform.namespace, content, child)
        scripts = self._scripts(f"{name}-scripts", platform.namespace, args, child)
        sources = Sources(
            scripts.metadata.name,
            access.metadata.name,
            database,
            _OWNER,
            store,
            store.reader,
        )
        claim = volume_claim(names.WORK, platform.namespace, settings.volume, platform.safekeeping, self)
        work: k8s.core.v1.VolumeArgsDict = {
            "name": "work",
            "persistent_volume_claim": {"claim_name": claim.metadata.name},
        }
        own = labels(names.POD)
        backup = pods.pod(pods.steps(_backup(database), sources), sources, work)
        pods.cron_job(names.BACKUP, platform.namespace, settings.schedule, backup, own, child)
        check = pods.pod(pods.steps(_CHECK, sources), sources, work)
        pods.cron_job(names.CHECK, platform.namespace, settings.check_schedule, check, own, child)
        admin = Sources(
            scripts.metadata.name,
            access.metadata.name,
            database,
            _SUPERUSER if database.superuser else _OWNER,
            store,
            store.writer,
        )
        restore = pods.pod(pods.steps(_restore(database, drill=False), admin), admin, _scratch(settings))
        pods.cron_job(names.RESTORE, platform.namespace, "", restore, own, child)

        # The rehearsal: the same steps, with servers of their own that live as long as the pod.
        namespace = drill_namespace(f"{name}-drill", args.settings.drill_namespace, platform, settings, self)
        inside = pulumi.ResourceOptions(parent=self, deleted_with=namespace)
        self.drill_namespace = drill_name = namespace.metadata.name
        passing = generated_password(f"{name}-drill-password", 40, child)
        servers_secret = self._access(
            f"{name}-drill-servers",
            drill_name,
            {"superuser-password": passing, "root-user": pulumi.Output.from_input("root"), "root-password": passing},
            inside,
        )
        servers_name = servers_secret.metadata.name
        rehearsed = Database("127.0.0.1", PORT, "flyte", "flyte", passing, servers_name, 100, superuser=True)
        opening = StoreCredentials(servers_name, {"root-user": "root-user", "root-password": "root-password"})
        drill = Sources(
            self._scripts(f"{name}-drill-scripts", drill_name, args, inside).metadata.name,
            self._access(f"{name}-drill-access", drill_name, content, inside).metadata.name,
            rehearsed,
            _SUPERUSER,
            StoreForBackup("http://127.0.0.1:9000", opening, opening, names.USER),
            opening,
        )
        logins = pull_secrets(f"{name}-drill-registries", drill_name, args.settings.docker_config, inside)
        drill_pods = Pods(replace(platform, pull_secrets=logins), settings, args.stack)
        rehearsal = drill_pods.pod(
            drill_pods.steps(_restore(rehearsed, drill=True), drill),
            drill,
            _scratch(settings),
            drill_servers(platform, settings, servers_name),
        )
        drill_pods.cron_job(names.DRILL, drill_name, settings.drill_schedule, rehearsal, labels(names.DRILL), inside)
        self.register_outputs({"target": settings.target})

    @staticmethod
    def _access(
        name: str,
        namespace: pulumi.Input[str],
        content: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions,
    ) -> k8s.core.v1.Secret:
        return k8s.core.v1.Secret(
            name,
            metadata={"namespace": namespace, "labels": LABELS},
            immutable=True,
            string_data=content,
            opts=opts,
        )

    @staticmethod
    def _scripts(
        name: str, namespace: pulumi.Input[str], args: BackupArgs, opts: pulumi.ResourceOptions
    ) -> k8s.core.v1.ConfigMap:
        files = {
            "about.json": json.dumps(args.about, indent=1, sort_keys=True),
            "skip-missed.sql": (ROOT / "scripts" / "schedules" / "skip-missed.sql").read_text(),
        }
        backup = args.settings.backup
        if backup.known_hosts:
            files["known_hosts"] = "".join(f"{line}\n" for line in backup.known_hosts)
        if args.store.authority:
            files[STORE_AUTHORITY] = args.store.authority
        if backup.certificate_authority:
            files["authority.pem"] = backup.certificate_authority
        return script_config_map(name, namespace, "backup", opts, files)


def _scratch(settings: BackupSettings) -> k8s.core.v1.VolumeArgsDict:
    """A volume that is created and deleted with its pod."""
    volume = settings.volume
    claim: k8s.core.v1.PersistentVolumeClaimSpecArgsDict = {
        "access_modes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": volume.size}},
    }
    if volume.storage_class:
        claim["storage_class_name"] = volume.storage_class
    ephemeral: k8s.core.v1.EphemeralVolumeSourceArgsDict = {"volume_claim_template": {"spec": claim}}
    return {"name": "work", "ephemeral": ephemeral}

"""The pods of the backup. Each runs its steps one after the other, every step in an image that has its program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pulumi
import pulumi_kubernetes as k8s

from components.backup.names import STATE, STATE_PARTS
from components.database import Database, credentials_volume, tls_variables
from components.object_store import StoreCredentials, StoreForBackup
from components.pods import Platform, container_security, empty_dir, pod_security, resources
from settings.backup import BackupSettings

# A user that every image has: ssh does not start for one without a name.
UID = 65534
"""User of all steps."""
_SCRIPTS, _WORK, _ACCESS, _SOURCES, _STATE = "/scripts", "/work", "/run/access", "/run/sources", "/run/state"
_Opens: TypeAlias = Literal["repository", "database", "store", "nothing"]
_TARGET, _TRUST = "/target", "/run/trust"
STORE_AUTHORITY = "store-authority.pem"
"""File among the scripts with the certificate of the private authority of the object store."""


@dataclass(frozen=True)
class Sources:
    """What the steps of a pod mount. A step mounts only what it opens."""

    scripts: pulumi.Input[str]
    """Name of the ConfigMap with the scripts."""
    access: pulumi.Input[str]
    """Name of the Secret that opens the repository."""
    database: Database
    """The database, or the server with it."""
    database_files: Mapping[str, str]
    """What opens the database: names of the files by the keys of its Secret."""
    store: StoreForBackup
    """The object store."""
    store_secret: StoreCredentials
    """What opens the object store: its reader or its writer."""


@dataclass(frozen=True)
class Step:
    """One container."""

    name: str
    image: str
    """Name of the image in the table of images."""
    script: str
    opens: _Opens = "nothing"
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    state: bool = False
    """Whether it reads Pulumi's encrypted state."""


class Pods:
    """Builds the pods of the backup from their steps."""

    def __init__(self, platform: Platform, settings: BackupSettings, stack: str) -> None:
        self._platform, self._settings, self._stack = platform, settings, stack

    def steps(self, steps: Sequence[Step], sources: Sources) -> list[k8s.core.v1.ContainerArgsDict]:
        """The containers of ``steps``."""
        return [self._container(step, sources) for step in steps]

    def pod(
        self,
        containers: Sequence[k8s.core.v1.ContainerArgsDict],
        sources: Sources,
        work: k8s.core.v1.VolumeArgsDict,
        servers: Sequence[k8s.core.v1.ContainerArgsDict] = (),
    ) -> k8s.core.v1.PodSpecArgsDict:
        """A pod that runs ``containers`` one after the other, next to ``servers``.

        Args:
            containers: containers, see `steps`.
            sources: what the containers mount.
            work: the volume on which they work.
            servers: containers that run as long as the pod does.
        """
        state: list[k8s.core.v1.VolumeProjectionArgsDict] = [
            {"config_map": _part(number)} for number in range(1, STATE_PARTS + 1)
        ]
        volumes: list[k8s.core.v1.VolumeArgsDict] = [
            work,
            {"name": "scripts", "config_map": {"name": sources.scripts}},
            {"name": "repository", "secret": {"secret_name": sources.access, "default_mode": 0o440}},
            credentials_volume("database", sources.database, sources.database_files),
            _secret("store", sources.store_secret),
            {"name": "state", "projected": {"sources": state}},
            empty_dir("tmp", "1Gi"),
        ]
        if sources.store.authority:
            items: list[k8s.core.v1.KeyToPathArgsDict] = [{"key": STORE_AUTHORITY, "path": STORE_AUTHORITY}]
            volumes.append({"name": "store-authority", "config_map": {"name": sources.scripts, "items": items}})
        if self._settings.claim:
            volumes.append({"name": "target", "persistent_volume_claim": {"claim_name": self._settings.claim}})
        pod: k8s.core.v1.PodSpecArgsDict = {
            "automount_service_account_token": False,
            "enable_service_links": False,
            "restart_policy": "Never",
            "termination_grace_period_seconds": 10,
            "security_context": pod_security(UID),
            "init_containers": [*servers, *containers[:-1]],
            "containers": [containers[-1]],
            "volumes": volumes,
        }
        return self._platform.pod(pod)

    def cron_job(
        self,
        name: str,
        namespace: pulumi.Input[str],
        schedule: str,
        pod: k8s.core.v1.PodSpecArgsDict,
        pod_labels: Mapping[str, str],
        opts: pulumi.ResourceOptions,
    ) -> k8s.batch.v1.CronJob:
        """A CronJob for ``pod``. Without a schedule it never runs by itself, and is a template for Jobs."""
        # In parts, because mypy takes exponentially long for deeply nested arguments.
        template: k8s.core.v1.PodTemplateSpecArgsDict = {"metadata": {"labels": dict(pod_labels)}, "spec": pod}
        job: k8s.batch.v1.JobSpecArgsDict = {
            "backoff_limit": 2,
            # One that hangs would keep the next from starting.
            "active_deadline_seconds": 24 * 60 * 60,
            "template": template,
        }
        spec: k8s.batch.v1.CronJobSpecArgsDict = {
            # The API server demands a schedule.
            "schedule": schedule or "0 0 31 2 *",
            "suspend": not schedule,
            "concurrency_policy": "Forbid",
            # A cluster that was off at the time makes up for it.
            "starting_deadline_seconds": 6 * 60 * 60,
            "successful_jobs_history_limit": 3,
            "failed_jobs_history_limit": 3,
            "job_template": {"metadata": {"labels": dict(pod_labels)}, "spec": job},
        }
        if self._settings.time_zone:
            spec["time_zone"] = self._settings.time_zone
        return k8s.batch.v1.CronJob(
            name,
            metadata={"name": name, "namespace": namespace, "labels": dict(pod_labels)},
            spec=spec,
            opts=opts,
        )

    def _repository(self) -> dict[str, pulumi.Input[str]]:
        """Environment of a step that runs restic."""
        backup = self._settings
        return {
            "ACCESS": _ACCESS,
            "TARGET": backup.repository,
            "RESTIC_CACHE_DIR": f"{_WORK}/cache",
            # Half of the memory for a little more time.
            "GOGC": "25",
            "KEEP_DAILY": str(backup.keep.daily),
            "KEEP_WEEKLY": str(backup.keep.weekly),
            "KEEP_MONTHLY": str(backup.keep.monthly),
            "PRUNE": "true" if backup.prune else "false",
            **({"AWS_ACCESS_KEY_ID": backup.access_key_id} if backup.access_key_id else {}),
            **({"AWS_DEFAULT_REGION": backup.region} if backup.region else {}),
        }

    def _container(self, step: Step, sources: Sources) -> k8s.core.v1.ContainerArgsDict:
        variables: dict[str, pulumi.Input[str]] = {
            "SCRIPTS": _SCRIPTS,
            "WORK": _WORK,
            "STACK": self._stack,
            "HOME": "/tmp",  # noqa: S108 (a volume of the pod)
        }
        mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
            {"name": "work", "mount_path": _WORK, "sub_path": "files"},
            {"name": "scripts", "mount_path": _SCRIPTS, "read_only": True},
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 (a volume of the pod)
        ]
        if step.opens == "repository":
            variables |= self._repository()
            mounts.append({"name": "repository", "mount_path": _ACCESS, "read_only": True})
            if self._settings.claim:
                mounts.append({"name": "target", "mount_path": _TARGET})
        elif step.opens == "database":
            server = sources.database
            variables |= {"SOURCES": _SOURCES, "PGHOST": server.host, "PGPORT": str(server.port)}
            variables |= tls_variables(server, _SOURCES)
            mounts.append({"name": "database", "mount_path": _SOURCES, "read_only": True})
        elif step.opens == "store":
            variables |= {"SOURCES": _SOURCES, "STORE_URL": sources.store.endpoint}
            if sources.store.reader_name:
                variables["STORE_USER"] = sources.store.reader_name
            if sources.store.buckets:
                variables["BUCKETS"] = " ".join(sources.store.buckets)
            if sources.store.region:
                variables["MC_REGION"] = sources.store.region
            mounts.append({"name": "store", "mount_path": _SOURCES, "read_only": True})
            if sources.store.authority:
                variables["SSL_CERT_DIR"] = _TRUST
                mounts.append({"name": "store-authority", "mount_path": _TRUST, "read_only": True})
        if step.state:
            variables["STATE"] = _STATE
            mounts.append({"name": "state", "mount_path": _STATE, "read_only": True})
        variables |= step.environment
        environment: list[k8s.core.v1.EnvVarArgsDict] = [
            {"name": name, "value": value} for name, value in variables.items()
        ]
        environment.append({"name": "RUN", "value_from": {"field_ref": {"field_path": "metadata.name"}}})
        return {
            "name": step.name,
            "image": self._platform.images[step.image].reference,
            "image_pull_policy": "IfNotPresent",
            "command": ["/bin/sh", f"{_SCRIPTS}/{step.script}"],
            "env": environment,
            "resources": resources(self._settings.resources),
            "security_context": container_security(),
            "volume_mounts": mounts,
        }


def _part(number: int) -> k8s.core.v1.ConfigMapProjectionArgsDict:
    items: list[k8s.core.v1.KeyToPathArgsDict] = [{"key": "part", "path": f"part-{number}"}]
    return {"name": f"{STATE}-{number}", "optional": True, "items": items}


def _secret(name: str, secret: StoreCredentials) -> k8s.core.v1.VolumeArgsDict:
    items: list[k8s.core.v1.KeyToPathArgsDict] = [{"key": key, "path": path} for key, path in secret.files.items()]
    return {"name": name, "secret": {"secret_name": secret.secret, "items": items, "default_mode": 0o440}}

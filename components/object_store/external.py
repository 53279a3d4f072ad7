"""An object store that the stack uses but does not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.object_store.egress import external_store_egress
from components.object_store.object_store import (
    AUTHORITY_FILE,
    ObjectStore,
    StoreCredentials,
    StoreForBackup,
    StoreKey,
)
from components.object_store.trust import trusted
from components.pods import (
    LABELS,
    NAME,
    Platform,
    awaited_job,
    container_security,
    dns_egress,
    empty_dir,
    pod_security,
    resources,
    script_config_map,
    volume_claim,
)
from settings import Settings
from settings.external_keys import ExternalKeys, external_keys
from settings.external_store import ExternalKey, ExternalStore
from settings.quantities import Resources, default_resources

MINIO = "minio"
"""Name of the component of the bundled server, in the program."""
CHECK = "object-store-check"
"""Value of the label of the pods that check the store."""
_UID = 65534
_FLYTE, _BACKUP = "flyte", "backup"
_KEYS, _SCRIPTS, _WORK = "/run/secrets/keys", "/scripts", "/tmp"  # noqa: S108 (a volume of the pod)
_RESOURCES: Resources = default_resources("50m", "64Mi", "2", "256Mi")


@dataclass(frozen=True)
class ExternalObjectStoreArgs:
    """The store, and who uses it."""

    platform: Platform
    settings: Settings
    """All settings: the store is described by `minio.external`, its keys by secret settings."""


class ExternalObjectStore(pulumi.ComponentResource):
    """An S3 store outside the stack, which is checked before anything of the stack is changed.

    The stack creates nothing in it: buckets, users and their policies belong to the store. A Job tries the address, the
    certificate, the region, every bucket and every key, and runs again when one of them changes. Whatever depends on
    this component waits for it, so that a wrong setting stops an update that has changed nothing yet.
    """

    store: ObjectStore
    """The store for Flyte and its tasks."""
    backup: StoreForBackup
    """How the backup opens it."""
    ready: k8s.batch.v1.Job
    """The Job after which every key has been tried. Depend on it rather than on the component."""

    def __init__(self, name: str, args: ExternalObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:ExternalObjectStore", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        platform, minio = args.platform, args.settings.minio
        external, given = minio.external, external_keys(args.settings)
        scopes = args.settings.task_scopes

        authority: pulumi.Input[str] = ""
        if external.certificate_authority:
            authority = k8s.core.v1.ConfigMap(
                f"{name}-authority",
                metadata={"namespace": platform.namespace, "labels": LABELS},
                immutable=True,
                data={AUTHORITY_FILE: external.certificate_authority},
                opts=child,
            ).metadata.name
        keys = k8s.core.v1.Secret(
            f"{name}-keys",
            metadata={"namespace": platform.namespace, "labels": LABELS},
            immutable=True,
            string_data=_key_files(args.settings, given),
            opts=child,
        ).metadata.name
        self.ready = self._check(name, args, keys, authority)
        self.store = ObjectStore(
            endpoint=external.custom_endpoint,
            bucket=minio.bucket,
            key=_store_key(given.flyte),
            client_endpoint=external.client_endpoint or external.custom_endpoint,
            task_keys={
                scope.namespace: _store_key(given.tasks.get(scope.namespace) or given.flyte) for scope in scopes
            },
            region=external.region,
            tls=external.address.startswith("https://"),
            authority=authority,
            flyte_annotations=external.flyte_annotations,
        )
        reader = _BACKUP if given.backup else _FLYTE
        writer = _FLYTE if given.flyte else _BACKUP
        self.backup = StoreForBackup(
            endpoint=external.address,
            reader=StoreCredentials(keys, {f"{reader}.access": "store-user", f"{reader}.secret": "store-key"}),
            writer=StoreCredentials(keys, {f"{writer}.access": "root-user", f"{writer}.secret": "root-password"}),
            buckets=args.settings.buckets,
            region=external.region,
            authority=external.certificate_authority,
        )
        self.register_outputs({"endpoint": external.address, "bucket": minio.bucket})

    def _check(
        self,
        name: str,
        args: ExternalObjectStoreArgs,
        keys: pulumi.Input[str],
        authority: pulumi.Input[str],
    ) -> k8s.batch.v1.Job:
        """The Job that tries the store, and the policy that lets its pod reach it."""
        platform, external = args.platform, args.settings.minio.external
        child = pulumi.ResourceOptions(parent=self)
        before: list[pulumi.Resource] = []
        if args.settings.network.enabled:
            # The other policies come later. At an update, those of the last one would be in the way of a new address.
            before.append(
                k8s.networking.v1.NetworkPolicy(
                    f"{name}-check",
                    metadata={"name": CHECK, "namespace": platform.namespace, "labels": LABELS},
                    spec={
                        "pod_selector": {"match_labels": {NAME: CHECK}},
                        "policy_types": ["Egress"],
                        "egress": [dns_egress(), *external_store_egress(external)],
                    },
                    opts=child,
                )
            )
        files = {"buckets": _lines(args.settings.buckets), "scopes": _lines(_scopes(args.settings))}
        scripts = script_config_map(f"{name}-check", platform.namespace, "store", child, files)
        pod = _check_pod(platform, external, scripts.metadata.name, keys, authority)
        return awaited_job(
            f"{name}-check",
            platform.namespace,
            CHECK,
            platform.pod(pod),
            pulumi.ResourceOptions(parent=self, depends_on=before),
            # The script repeats what time may help.
            retries=0,
        )


def external_store(
    name: str, platform: Platform, settings: Settings, opts: pulumi.ResourceOptions
) -> ExternalObjectStore | None:
    """The store that the settings describe, with the volume of the bundled server if that is kept; None if the bundled
    server is used."""
    if settings.minio.mode == "bundled":
        return None
    store = ExternalObjectStore(name, ExternalObjectStoreArgs(platform, settings), opts)
    if settings.minio.keep_volume:
        # With the name and the type of `Minio`, so that for Pulumi it is the same volume.
        parent = pulumi.ComponentResource("flyte-home:index:Minio", MINIO, None, opts)
        volume_claim(
            f"{MINIO}-data", platform.namespace, settings.minio.volume, platform.safekeeping, parent, untouched=True
        )
        parent.register_outputs({})
    return store


def after(store: ExternalObjectStore | None, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """Options for everything that waits until an external store has been checked."""
    if not store:
        return opts
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[store.ready]))


def _store_key(key: ExternalKey | None) -> StoreKey | None:
    return StoreKey(key.access_key, pulumi.Output.secret(key.secret_key)) if key else None


def _key_files(settings: Settings, given: ExternalKeys) -> dict[str, pulumi.Input[str]]:
    """The keys as the scripts read them: two files for each user."""
    users = {_FLYTE: given.flyte, _BACKUP: given.backup}
    users |= {f"{one.project}-{one.domain}": given.tasks.get(one.namespace) for one in settings.task_scopes}
    files: dict[str, pulumi.Input[str]] = {}
    for user, key in users.items():
        if key:
            files |= {
                f"{user}.access": pulumi.Output.secret(key.access_key),
                f"{user}.secret": pulumi.Output.secret(key.secret_key),
            }
    return files


def _scopes(settings: Settings) -> list[str]:
    """What the check needs of each task scope that has a key of its own."""
    own = external_keys(settings).tasks
    return [
        f"{scope.project}-{scope.domain} {scope.bucket} {scope.project} {scope.domain}"
        for scope in settings.task_scopes
        if scope.namespace in own
    ]


def _lines(texts: Sequence[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def _check_pod(
    platform: Platform,
    external: ExternalStore,
    scripts: pulumi.Input[str],
    keys: pulumi.Input[str],
    authority: pulumi.Input[str],
) -> k8s.core.v1.PodSpecArgsDict:
    trust = trusted(authority)
    environment: Mapping[str, str] = {
        "STORE_URL": external.address,
        "MC_REGION": external.region,
        "KEYS": _KEYS,
        "SCRIPTS": _SCRIPTS,
        "WORK": _WORK,
        "HOME": _WORK,
        **trust.environment,
    }
    volumes: list[k8s.core.v1.VolumeArgsDict] = [
        {"name": "keys", "secret": {"secret_name": keys, "default_mode": 0o440}},
        {"name": "scripts", "config_map": {"name": scripts}},
        empty_dir("tmp", "100Mi"),
        *trust.volumes,
    ]
    mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
        {"name": "keys", "mount_path": _KEYS, "read_only": True},
        {"name": "scripts", "mount_path": _SCRIPTS, "read_only": True},
        {"name": "tmp", "mount_path": _WORK},
        *trust.mounts,
    ]
    container: k8s.core.v1.ContainerArgsDict = {
        "name": "mc",
        "image": platform.images["mc"].reference,
        "image_pull_policy": "IfNotPresent",
        "command": ["/bin/sh", f"{_SCRIPTS}/check.sh"],
        "env": [{"name": variable, "value": value} for variable, value in environment.items()],
        "resources": resources(_RESOURCES),
        "security_context": container_security(),
        # The last line of the log is the message; it then is in the status of the pod as well.
        "termination_message_policy": "FallbackToLogsOnError",
        "volume_mounts": mounts,
    }
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "restart_policy": "Never",
        "termination_grace_period_seconds": 1,
        "security_context": pod_security(_UID),
        "containers": [container],
        "volumes": volumes,
    }

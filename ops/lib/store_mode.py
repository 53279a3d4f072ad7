"""Which object store a stack has, and whether another one may take its place."""

from dataclasses import dataclass

from components.object_store import minio
from ops.lib.kubectl import Cluster
from ops.lib.state import State
from settings import PROJECT, Settings
from settings.errors import SettingsError
from settings.external_store import AWS, ExternalStore
from settings.messages.commands import set_command

COMPONENTS = {"bundled": f"{PROJECT}:index:Minio", "external": f"{PROJECT}:index:ExternalObjectStore"}
"""Type of the component that provides the object store, by mode."""
_RELEASE = "kubernetes:helm.sh/v3:Release"
_VOLUME = "minio-data"


@dataclass(frozen=True)
class StoreInUse:
    """An object store, as the settings or the state describe it."""

    endpoint: str
    """Address of an external store; empty: the bundled server."""
    bucket: str
    """Flyte's own bucket; of the bundled server it does not matter here."""

    def __str__(self) -> str:
        return f"the bucket {self.bucket!r} at {self.endpoint}" if self.endpoint else "the bundled server"


def wanted_store(settings: Settings) -> StoreInUse:
    """Return the store that the settings describe."""
    external = settings.minio.used_external
    return StoreInUse(external.address, settings.minio.bucket) if external else StoreInUse("", "")


def deployed_store(state: State, namespace: str) -> StoreInUse | None:
    """Return the store that Flyte uses; None before there is a Flyte, because no store holds data of the stack then.

    Flyte's release says it, because an update changes that only after the new store has passed its check.

    Args:
        state: state of the stack.
        namespace: platform namespace.
    """
    resources = {one["type"]: one for one in state.deployment.get("resources") or []}
    if _RELEASE not in resources:
        return None
    if COMPONENTS["external"] not in resources:
        return StoreInUse("", "")
    storage = resources[_RELEASE]["inputs"]["values"]["configuration"]["storage"]
    s3 = storage["providerConfig"]["s3"]
    endpoint = s3.get("endpoint") or ExternalStore(endpoint=AWS, region=s3["region"]).address
    if endpoint == f"http://{minio.SERVICE}.{namespace}.svc:{minio.PORT}":
        return StoreInUse("", "")
    return StoreInUse(endpoint, storage["metadataContainer"])


def check_store(state: State, settings: Settings, stack: str, moved: bool) -> None:
    """Check that no other store takes the place of the one with the data.

    Args:
        state: state of the stack.
        settings: settings of the stack.
        stack: name of the stack.
        moved: whether the user says that the data is in the other store.

    Raises:
        SettingsError: another store would, or the volume with the data would be deleted.
    """
    deployed, wanted = deployed_store(state, settings.namespace), wanted_store(settings)
    if not deployed:
        return
    key = f"{PROJECT}:minio.mode" if "" in {wanted.endpoint, deployed.endpoint} else f"{PROJECT}:minio.external"
    if wanted != deployed and not moved:
        raise SettingsError(
            f"{key}: the stack would use {wanted}, but its data is in {deployed}, to which the rows of its database "
            f"refer. Nothing was changed. Move it: make move-store STACK={stack}; or set {key} back. If you have "
            f"copied all buckets yourself, as docs/outgrowing.md says: make up STACK={stack} STORE_MOVED=yes"
        )
    volume = f"{settings.namespace}/{_VOLUME}"
    if wanted.endpoint and not settings.minio.keep_volume and volume in state.claims and not state.retained(volume):
        keep = f"{PROJECT}:minio.keepVolume"
        raise SettingsError(
            f"{keep}: is false, so the volume {_VOLUME} with the objects would be deleted. Nothing was changed. Write "
            f"{set_command(keep, True)}; it can be deleted when the other store has proved itself (docs/outgrowing.md)"
        )


def isolation_warnings(cluster: Cluster, namespace: str, label: str) -> list[str]:
    """Return what the check of an external store has found that its keys open beyond their own data.

    Args:
        cluster: cluster of the stack.
        namespace: platform namespace.
        label: label of the pods of the check.
    """
    log = cluster.run("logs", f"--selector={label}", f"--namespace={namespace}", "--tail=-1").stdout
    warnings = (line.removeprefix("warning: ") for line in log.splitlines() if line.startswith("warning: "))
    return list(dict.fromkeys(warnings))

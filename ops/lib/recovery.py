"""What is put in order before an update: what a killed one left, and what Pulumi itself does not notice."""

import base64
import gzip
import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import yaml

from components.flyte.names import RELEASE
from components.pods import LABELS
from ops.lib.destruction import namespaces_ending
from ops.lib.engine import pulumi
from ops.lib.kubectl import Cluster, documents
from ops.lib.state import Pending, State
from ops.lib.text import one_line
from settings import Settings, go_yaml
from settings.errors import SettingsError

_PERIOD = 5.0
# So much may the clock of the cluster be behind that of this machine.
_CLOCKS_DIFFER = timedelta(minutes=5)
_GET = ("get", "--ignore-not-found", "--output=json")


def adopt_half_made(environment: Mapping[str, str], stack: str, state: State, cluster: Cluster, began: str) -> None:
    """Let Pulumi adopt the objects that a killed update had created, but not recorded yet; forget the others.

    Without this, objects with a generated name would stay unused, and cluster-wide ones would be in the way.

    Args:
        environment: environment of Pulumi.
        stack: name of the stack.
        state: its state.
        cluster: its cluster, which the caller has compared with the pinned one.
        began: when that update began, in ISO 8601 and UTC; empty if that is not known.

    Raises:
        SettingsError: Pulumi or the cluster fails.
    """
    adopted: list[str] = []
    for one in state.pending:
        # The program recovers Helm's release itself.
        if one.type.startswith("kubernetes:helm.sh/") or not _is_its_own(cluster, one, began):
            continue
        adopted += ["--import-pending-creates", one.urn, "--import-pending-creates"]
        adopted += [f"{one.namespace}/{one.name}" if one.namespace else one.name]
    # Without the program, which cannot run with half of its objects.
    options = ["--yes", "--skip-preview", "--clear-pending-creates", *adopted]
    pulumi(environment, "refresh", "--stack", stack, *options)


def _is_its_own(cluster: Cluster, one: Pending, began: str) -> bool:
    """Return whether an object exists, and was created by the update that was killed."""
    version, kind = one.type.removeprefix("kubernetes:").split(":")
    group, version = version.split("/")
    resource = f"{kind}.{version}.{group}" if group != "core" else kind
    where = [f"--namespace={one.namespace}"] if one.namespace else []
    answer = cluster.run("get", resource, one.name, *where, "--ignore-not-found", "--output=json")
    if answer.returncode or not answer.stdout.strip():
        return False
    metadata = json.loads(answer.stdout)["metadata"]
    if not LABELS.items() <= metadata.get("labels", {}).items():
        return False
    # A cluster-wide object of another stack may have the same name and labels, but it is older.
    created = datetime.fromisoformat(metadata["creationTimestamp"])
    return bool(one.namespace or not began or created >= datetime.fromisoformat(f"{began}Z") - _CLOCKS_DIFFER)


def check_volumes(state: State, cluster: Cluster, stack: str) -> None:
    """Check that no volume with data has disappeared, because an update would create an empty one.

    Raises:
        SettingsError: a volume is missing or is being deleted, or the cluster does not answer.
    """
    holders = [("persistentvolumeclaim", claim) for claim in state.claims]
    holders += [("cluster.postgresql.cnpg.io", one) for one in state.database_clusters]
    for kind, holder in holders:
        namespace, name = holder.split("/")
        answer = cluster.ask("get", kind, name, f"--namespace={namespace}", "--ignore-not-found", "--output=json")
        what = f"{kind}/{name} in {namespace}"
        if not answer.strip():
            raise SettingsError(
                f"{what}, which held data, is no longer in the cluster. Nothing was changed. Restore it as "
                f"docs/backup.md says, or start with an empty one: make up STACK={stack} EMPTY_VOLUMES=yes"
            )
        if json.loads(answer)["metadata"].get("deletionTimestamp"):
            raise SettingsError(
                f"{what} is being deleted, and its data goes with it as soon as its pod stops. Nothing was changed. "
                f"Copy the data now (docs/backup.md), then delete the pod and run make up STACK={stack} "
                f"EMPTY_VOLUMES=yes"
            )


def check_safekeeping(state: State, settings: Settings, stack: str) -> None:
    """Check that what shall protect the volumes from a destroy is deployed. A destroy uses what is.

    Raises:
        SettingsError: it is only in the stack file.
    """
    wanted: dict[str, tuple[bool, Literal["protect", "retainOnDelete"]]] = {
        "protect": (settings.protect, "protect"),
        "keepVolumes": (settings.keep_volumes, "retainOnDelete"),
    }
    for name, (chosen, option) in wanted.items():
        if chosen and not state.safe(option):
            raise SettingsError(
                f"flyte-home:{name}: it is set, but not deployed yet, so that a destroy would delete the volumes. "
                f"Nothing was changed. Run make up STACK={stack} first"
            )


def await_deletions(cluster: Cluster, namespaces: Collection[str], sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until none of the stack's namespaces is being deleted: nothing can be created in such a namespace.

    Raises:
        SettingsError: the cluster does not answer.
    """
    shown = ""
    while ending := namespaces_ending(cluster, namespaces):
        if ending != shown:
            print(f"waiting until an earlier destroy has ended: {ending}", flush=True)
        shown = ending
        sleep(_PERIOD)


def restore_release(cluster: Cluster, namespace: str) -> None:
    """Recreate objects of Flyte's Helm release that are missing. Pulumi knows only the release as a whole.

    Raises:
        SettingsError: the cluster does not answer, or rejects an object.
    """
    objects = {_identity(one): one for one in _release_objects(cluster, namespace)}
    if not objects:
        return
    there = {_identity(one) for one in documents(_given(cluster, namespace, objects.values(), *_GET))}
    missing = {identity: one for identity, one in objects.items() if identity not in there}
    if missing:
        print(f"Recreating what is missing of Flyte: {', '.join(sorted(missing))}", flush=True)
        _given(cluster, namespace, missing.values(), "create")


def _release_objects(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """Return the objects of the newest installed revision, as Helm has recorded them; none if there is no release."""
    selector = f"--selector=owner=helm,name={RELEASE},status=deployed"
    records = documents(cluster.ask("get", "secrets", selector, f"--namespace={namespace}", "--output=json"))
    if not records:
        return []
    newest = max(records, key=lambda record: int(record["metadata"]["labels"]["version"]))
    # Helm encodes it in base64 once more (https://helm.sh/docs/topics/advanced/#storage-backends).
    record = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(newest["data"]["release"]))))
    return [one for one in yaml.safe_load_all(record["manifest"]) if one]


def _given(cluster: Cluster, namespace: str, objects: Iterable[dict[str, Any]], *command: str) -> str:
    """Run kubectl with objects on its standard input; return its output."""
    stream = yaml.dump_all(objects, Dumper=go_yaml.Dumper)
    answer = cluster.run(*command, "--filename=-", f"--namespace={namespace}", given=stream)
    if answer.returncode:
        raise SettingsError(f"Flyte's objects cannot be compared with Helm's record: {one_line(answer.stderr)}")
    return answer.stdout


def _identity(one: dict[str, Any]) -> str:
    return f"{one['kind'].lower()}/{one['metadata']['name']}"

"""What is recorded in the cluster about its stack: the commit that was deployed, and the last upgrade."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from components.pods import LABELS
from ops.lib.kubectl import Cluster, documents
from ops.lib.text import one_line
from paths import ROOT
from settings.errors import SettingsError

_NAME, _PART_OF = "flyte-home-record", "app.kubernetes.io/part-of"
Phase = Literal["none", "deploying", "begun", "copied", "swapped", "done", "returning"]


@dataclass(frozen=True)
class Copy:
    """The copy of the database to another volume."""

    old: int
    """Generation of the old volume."""
    new: int
    """Generation of the new volume."""
    majors: tuple[int, int]
    """Major versions of PostgreSQL, before and after."""
    image: str
    """Image of the old server."""
    size: int
    """Bytes that the database takes."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Rows of each table in the dump."""
    dump: str = ""
    """SHA-256 of the dump."""


@dataclass(frozen=True)
class Record:
    """What is recorded; it holds no secret."""

    commit: str = ""
    """Commit that was deployed last; empty if it is not known."""
    phase: Phase = "none"
    """How far the last upgrade is. Without a copy it is ``deploying`` or ``done``; with one, it has ``begun`` to stop
    Flyte, has ``copied`` the database into a verified dump, or has ``swapped`` it in on the new volume. Going back,
    it is ``returning``.
    """
    before: str = ""
    """Commit that was deployed before the last upgrade; empty if it is not known."""
    backup: str = ""
    """Backup set that was taken before the last upgrade; empty if there is none."""
    copy: Copy | None = None
    """The copy of the database in the last upgrade, if there was one."""

    @property
    def copying(self) -> bool:
        """Whether the database is being copied, or Flyte may still be stopped for it."""
        return bool(self.copy) and self.phase in {"begun", "copied", "swapped", "returning"}

    @property
    def unfinished(self) -> bool:
        """Whether the last upgrade has not ended."""
        return self.phase not in {"none", "done"}


def read(cluster: Cluster, namespace: str) -> Record:
    """Return the record of the stack in a namespace; an empty one if there is none.

    Raises:
        SettingsError: the cluster does not answer, or a newer version has written the record.
    """
    answer = cluster.ask("get", "configmap", _NAME, f"--namespace={namespace}", "--ignore-not-found", "--output=json")
    found = documents(answer)
    if not found:
        return Record()
    try:
        content = json.loads(found[0]["data"]["record"])
        copied = content.pop("copy")
        record = Record(**content)
        return replace(record, copy=Copy(**{**copied, "majors": tuple(copied["majors"])})) if copied else record
    except (KeyError, TypeError, ValueError):
        raise SettingsError(
            f"configmap/{_NAME} in {namespace} cannot be read: another version of this repository has written it. "
            f"Use that version, or delete it: {cluster.shown('delete', 'configmap', _NAME, '-n', namespace)}"
        ) from None


def write(cluster: Cluster, namespace: str, record: Record) -> Record:
    """Write the record; return it.

    Raises:
        SettingsError: the cluster rejects it.
    """
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _NAME, "namespace": namespace, "labels": {_PART_OF: LABELS[_PART_OF]}},
        "data": {"record": json.dumps(asdict(record))},
    }
    answer = cluster.run("apply", "--filename=-", f"--namespace={namespace}", given=json.dumps(manifest))
    if answer.returncode:
        raise SettingsError(f"configmap/{_NAME} cannot be written: {one_line(answer.stderr)}")
    return record


def deployed(cluster: Cluster, namespace: str) -> None:
    """Record that this commit is deployed, and so that an upgrade has ended.

    Raises:
        SettingsError: the cluster does not answer, or rejects the record.
    """
    record = read(cluster, namespace)
    phase: Phase = record.phase if record.phase == "none" else "done"
    now = replace(record, commit=commit(), phase=phase)
    if now != record:
        write(cluster, namespace, now)


def commit(root: Path = ROOT) -> str:
    """Return the commit that is checked out; empty outside of a clone."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""

"""Pulumi's state in the cluster, encrypted with the recovery key, so that each set of the backup has it.

Neither the cluster nor this machine can decrypt it.
"""

import base64
import io
import json
import lzma
import os
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from components.backup import names
from components.pods import LABELS
from ops.lib.backup.recovery_key import sealed
from ops.lib.engine import pulumi
from ops.lib.kubectl import Cluster
from ops.lib.text import one_line
from paths import ROOT
from settings import Settings
from settings.errors import SettingsError

# In base64 it is a third longer, and a ConfigMap holds 1 MiB.
_PART = 700_000


def keep_state(environment: Mapping[str, str], stack: str, settings: Settings, cluster: Cluster) -> None:
    """Encrypt Pulumi's state of a stack and write it into its cluster, where the next set takes it from.

    Without a backup or a recovery key it does nothing.

    Raises:
        SettingsError: Pulumi or the cluster does not answer.
    """
    if not settings.backup.target or not settings.backup.recovery_key:
        return
    content = sealed(_packed(environment, stack), settings.backup.recovery_key)
    parts = [content[start : start + _PART] for start in range(0, len(content), _PART)]
    if len(parts) > names.STATE_PARTS:
        raise SettingsError(
            f"the state has {len(content)} bytes; a set has room for {names.STATE_PARTS * _PART}: keep the state of "
            "this stack somewhere else, and remove flyte-home:backup.recoveryKey"
        )
    objects = [_config_map(settings.namespace, number, part) for number, part in enumerate(parts, start=1)]
    answer = cluster.run(
        "apply",
        "--server-side",
        "--field-manager=flyte-home",
        "--force-conflicts",
        "--filename=-",
        given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
    )
    if answer.returncode:
        raise SettingsError(f"the encrypted state cannot be written into the cluster: {one_line(answer.stderr)}")
    _delete(cluster, settings.namespace, range(len(parts) + 1, names.STATE_PARTS + 1))


def forget_state(cluster: Cluster, namespace: str) -> None:
    """Remove the encrypted state from a cluster.

    Raises:
        SettingsError: the cluster does not answer.
    """
    _delete(cluster, namespace, range(1, names.STATE_PARTS + 1))


def _delete(cluster: Cluster, namespace: str, parts: Iterable[int]) -> None:
    found = [f"configmap/{names.STATE}-{number}" for number in parts]
    if not found:
        return
    answer = cluster.run("delete", *found, f"--namespace={namespace}", "--ignore-not-found")
    # With a part of an earlier state behind it, no key would open this one.
    if answer.returncode:
        raise SettingsError(f"an earlier encrypted state cannot be deleted: {one_line(answer.stderr)}")


def _config_map(namespace: str, number: int, part: bytes) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{names.STATE}-{number}", "namespace": namespace, "labels": dict(LABELS)},
        "binaryData": {"part": base64.b64encode(part).decode()},
    }


def _packed(environment: Mapping[str, str], stack: str) -> bytes:
    """Return the state, the stack file and the passphrase as a compressed archive."""
    files = {
        "state.json": pulumi(environment, "stack", "export", "--stack", stack).encode(),
        f"Pulumi.{stack}.yaml": (ROOT / f"Pulumi.{stack}.yaml").read_bytes(),
        "commit": _commit().encode(),
    }
    if passphrase := passphrase_of(environment):
        files["passphrase"] = passphrase.encode()
    content = io.BytesIO()
    with lzma.open(content, "wb") as compressed, tarfile.open(fileobj=compressed, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def unpacked(content: bytes) -> dict[str, bytes]:
    """Return the files of an archive by name."""
    with lzma.open(io.BytesIO(content)) as compressed, tarfile.open(fileobj=compressed) as archive:
        return {member.name: file.read() for member in archive if (file := archive.extractfile(member))}


def passphrase_of(environment: Mapping[str, str]) -> str:
    """Return the passphrase that encrypts the secrets of the state; empty if something else encrypts them."""
    if given := environment.get("PULUMI_CONFIG_PASSPHRASE"):
        return given
    path = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    return Path(path).read_text().strip("\r\n") if path and Path(path).exists() else ""


def _commit() -> str:
    """Return the commit of this repository; empty if it is none."""
    command = ["git", "rev-parse", "HEAD"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ))
    return result.stdout.strip() if not result.returncode else ""

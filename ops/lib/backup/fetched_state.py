"""Pulumi's state out of a set, with nothing but a recovery key and a cluster: in a pod of a namespace of its own."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from components.backup.steps import UID
from components.pods import LABELS, namespace_labels
from ops.lib.backup.recovery_key import RecoveryKey
from ops.lib.backup.sealed_state import unpacked
from ops.lib.kubectl import Cluster
from ops.lib.text import one_line
from paths import ROOT
from settings.backup import BackupSettings
from settings.errors import SettingsError

NAMESPACE = "flyte-recovery"
"""Namespace of the pod. It exists only meanwhile, unless it was there before."""
_NAME = "recovery"
_SECONDS = 600


def fetched_state(cluster: Cluster, key: RecoveryKey, at: str, image: str) -> dict[str, bytes]:
    """Return the files that `ops.lib.backup.sealed_state` has put into a set, by name.

    Args:
        cluster: any cluster that reaches the target.
        key: the recovery key.
        at: the set.
        image: reference of the image of restic.

    Raises:
        SettingsError: the target, or the cluster, does not answer, or the key does not open the set.
    """
    with _namespace(cluster):
        objects = _objects(key, at, image)
        try:
            created = cluster.run(
                "create", "--filename=-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
            )
            if created.returncode:
                raise SettingsError(f"a pod cannot be created in {NAMESPACE}: {one_line(created.stderr)}")
            log = _log(cluster)
        finally:
            for kind in ("pod", "secret", "configmap"):
                cluster.run("delete", kind, _NAME, f"--namespace={NAMESPACE}", "--ignore-not-found", "--now")
    parts: dict[int, str] = {}
    for line in log.splitlines():
        if line.startswith("STATE "):
            _, number, text = line.split()
            parts[int(number)] = parts.get(int(number), "") + text
    return unpacked(key.opened(b"".join(base64.b64decode(parts[number]) for number in sorted(parts))))


@contextmanager
def _namespace(cluster: Cluster) -> Iterator[None]:
    """The namespace, which is deleted at the end unless it was there before: it may have the claim of the target."""
    if not cluster.run("get", "namespace", NAMESPACE).returncode:
        yield
        return
    manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": namespace_labels("restricted")},
    }
    created = cluster.run("create", "--filename=-", given=json.dumps(manifest))
    if created.returncode:
        raise SettingsError(f"the namespace {NAMESPACE} cannot be created: {one_line(created.stderr)}")
    try:
        yield
    finally:
        cluster.run("delete", "namespace", NAMESPACE, "--wait=false")


def _objects(key: RecoveryKey, at: str, image: str) -> list[dict[str, Any]]:
    target = BackupSettings(target=key.target)
    scripts = {path.name: path.read_text() for path in (ROOT / "scripts" / "backup").glob("*.sh")}
    scripts["known_hosts"] = "".join(f"{line}\n" for line in key.known_hosts)
    scripts["authority.pem"] = key.certificate_authority
    encoded = {"password": key.password, "credentials": f"{key.credentials}\n"}
    metadata = {"name": _NAME, "namespace": NAMESPACE, "labels": dict(LABELS)}
    variables = {
        "ACTION": "state",
        "AT": at,
        "STACK": key.stack,
        "TARGET": target.repository,
        "ACCESS": "/run/access",
        "SCRIPTS": "/scripts",
        "WORK": "/tmp",  # noqa: S108 (a volume of the pod)
        "HOME": "/tmp",  # noqa: S108 (a volume of the pod)
        "RESTIC_CACHE_DIR": "/tmp/cache",  # noqa: S108 (a volume of the pod)
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        **({"AWS_DEFAULT_REGION": key.region} if key.region else {}),
    }
    volumes: list[dict[str, Any]] = [
        {"name": "scripts", "configMap": {"name": _NAME}},
        {"name": "access", "secret": {"secretName": _NAME, "defaultMode": 0o440}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts = [
        {"name": "scripts", "mountPath": "/scripts"},
        {"name": "access", "mountPath": "/run/access"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (a volume of the pod)
    ]
    if target.claim:
        volumes.append({"name": "target", "persistentVolumeClaim": {"claimName": target.claim}})
        mounts.append({"name": "target", "mountPath": "/target"})
    container = {
        "name": _NAME,
        "image": image,
        "command": ["/bin/sh", "/scripts/check.sh"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"cpu": "2", "memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "fsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }
    data = {name: base64.b64encode(value.encode()).decode() for name, value in encoded.items()}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": scripts},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
    ]


def _log(cluster: Cluster) -> str:
    """Return the log of the pod when it has ended.

    Raises:
        SettingsError: it failed; the message is the end of its log.
    """
    end = time.monotonic() + _SECONDS
    told = ""
    while True:
        pod = json.loads(cluster.ask("get", "pod", _NAME, f"--namespace={NAMESPACE}", "--output=json"))
        phase = pod["status"].get("phase")
        if phase in {"Succeeded", "Failed"}:
            break
        waiting = [one["state"].get("waiting", {}) for one in pod["status"].get("containerStatuses", [])]
        why = " ".join(f"{one.get('reason', '')}: {one_line(one.get('message', ''))}" for one in waiting if one)
        if why and why != told:
            told = why
            print(f"  waiting: {why}", flush=True)
        if time.monotonic() > end:
            raise SettingsError(f"the pod {_NAME} in {NAMESPACE} does not end: {told or phase}")
        time.sleep(1)
    log = cluster.run("logs", _NAME, f"--namespace={NAMESPACE}", seconds=120).stdout
    if phase == "Failed":
        said = [line for line in log.splitlines() if line and not line.startswith("STATE")]
        raise SettingsError("\n".join(said[-5:]) or "the set cannot be read")
    return log

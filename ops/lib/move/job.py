"""The Job that copies, and its connections."""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.pods import LABELS, NAME
from ops.lib.backup.jobs import RunningJob
from ops.lib.client_pod import CONTAINER_SECURITY, restricted_spec
from ops.lib.kubectl import Cluster
from ops.lib.move.record import LABEL
from ops.lib.text import one_line
from ops.lib.volumes import Stack
from ops.lib.workloads import Object
from settings.errors import SettingsError

_POD = "flyte-home-move"  # value of the label of the pods
_MARKED = {**LABELS, LABEL: "temporary"}
_CREDENTIALS, _SCRIPTS, _WORK = "/run/credentials", "/scripts", "/work"
_HOUR = 60 * 60
_END_SECONDS = 90


@dataclass(frozen=True)
class Step:
    """A container of the Job; they run one after the other, and share a volume."""

    name: str
    image: str
    """Name of the image in the table of images."""
    script: Path
    """Script that it runs."""
    environment: Mapping[str, str]
    """Its environment, without secrets."""


def run_job(
    stack: Stack,
    pull_secrets: Sequence[Object],
    steps: Sequence[Step],
    credentials: Mapping[str, str],
    files: Sequence[Path] = (),
) -> dict[str, Any]:
    """Run steps in a Job, show their log, and return the result of the last one.

    The credentials are in a Secret that belongs to the Job. The Job is deleted at its end, and both are deleted by the
    cluster if this machine is gone by then.

    Args:
        stack: the stack.
        pull_secrets: the Secrets with which the cluster pulls the images, as a pod names them.
        steps: what the Job does.
        credentials: contents of secret files by their names.
        files: further files beside the scripts.

    Raises:
        SettingsError: a step fails; the message is the last line of its log.
    """
    name = f"{_POD}-{secrets.token_hex(4)}"
    namespace = stack.settings.namespace
    pod = restricted_spec(stack.settings, [_container(stack, one) for one in steps], _volumes(name))
    if pull_secrets:
        pod["imagePullSecrets"] = list(pull_secrets)
    spec = {
        # It starts when its files are there.
        "suspend": True,
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": _HOUR,
        "template": {"metadata": {"labels": {**_MARKED, NAME: _POD}}, "spec": pod},
    }
    metadata = {"name": name, "namespace": namespace, "labels": _MARKED}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
    try:
        uid = _create(stack.cluster, job, "--output=jsonpath={.metadata.uid}")
        owned = {**metadata, "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}]}
        texts = {path.name: path.read_text() for path in [*(one.script for one in steps), *files]}
        _create(stack.cluster, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": owned, "data": texts})
        _create(
            stack.cluster, {"apiVersion": "v1", "kind": "Secret", "metadata": owned, "stringData": dict(credentials)}
        )
        stack.cluster.ask("patch", "job", name, f"--namespace={namespace}", '--patch={"spec":{"suspend":false}}')
        return RunningJob(stack.cluster, namespace, name).result()
    finally:
        where = [f"--namespace={namespace}", "--ignore-not-found", "--cascade=foreground", f"--timeout={_END_SECONDS}s"]
        stack.cluster.run("delete", "job", name, *where, seconds=_END_SECONDS + 5)


@contextmanager
def open_ways(stack: Stack) -> Iterator[None]:
    """Let the pods of the platform namespace reach each other, and those of the move every server.

    The network policies of the stack do not admit the pods of a move, and have no rule yet for a server that is new.
    """
    if not stack.settings.network.enabled:
        yield
        return
    dns = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    inside: Object = {"podSelector": {}}
    policies = {
        f"{_POD}-inside": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [inside]}],
            "egress": [{"to": [inside]}, dns],
        },
        _POD: {"podSelector": {"matchLabels": {NAME: _POD}}, "policyTypes": ["Egress"], "egress": [{}]},
    }
    where = {"namespace": stack.settings.namespace, "labels": _MARKED}
    objects = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, **where},
            "spec": spec,
        }
        for name, spec in policies.items()
    ]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    answer = stack.cluster.run("apply", "--filename=-", given=given)
    if answer.returncode:
        raise SettingsError(f"the network policies of the move cannot be created: {one_line(answer.stderr)}")
    try:
        yield
    finally:
        stack.cluster.run("delete", "--filename=-", "--ignore-not-found", given=given)


def _create(cluster: Cluster, manifest: Object, *options: str) -> str:
    answer = cluster.run("create", "--filename=-", *options, given=json.dumps(manifest))
    if answer.returncode:
        kind = manifest["kind"]
        raise SettingsError(f"the {kind} of the move cannot be created: {one_line(answer.stderr)}")
    return answer.stdout.strip()


def _volumes(name: str) -> list[Object]:
    return [
        {"name": "credentials", "secret": {"secretName": name, "defaultMode": 0o440}},
        {"name": "scripts", "configMap": {"name": name}},
        {"name": "work", "emptyDir": {}},
    ]


def _container(stack: Stack, step: Step) -> Object:
    # What all of them read, and a home, because the file system of the image is not writable.
    common = {"CREDENTIALS": _CREDENTIALS, "SCRIPTS": _SCRIPTS, "WORK": _WORK, "HOME": _WORK, "TMPDIR": _WORK}
    environment = {**common, **step.environment}
    return {
        "name": step.name,
        "image": stack.settings.chosen_images[step.image].reference,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", f"{_SCRIPTS}/{step.script.name}"],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "credentials", "mountPath": _CREDENTIALS, "readOnly": True},
            {"name": "scripts", "mountPath": _SCRIPTS, "readOnly": True},
            {"name": "work", "mountPath": _WORK},
        ],
    }

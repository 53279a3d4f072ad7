"""Short-lived pods that try connections from inside the cluster."""

import base64
import datetime
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Literal, Self

from components.pods import placement_values
from components.tasks import SERVICE_ACCOUNT
from ops.lib.kubectl import Cluster, documents
from ops.lib.text import one_line
from ops.lib.workloads import Object
from paths import ROOT
from settings.placement import Placement

LABEL = "flyte-home/doctor"
"""Label of everything that the doctor creates for its probes."""
Expected = Literal["open", "closed", "either"]
# Seconds from the creation of a pod to its result. The pod itself ends after `_DEADLINE`, even if the doctor is killed.
_PATIENCE, _DEADLINE = 25, 50
# Seconds for which a probe waits until the network plugin has taken notice of the new pod.
_SETTLING = 4
# Older probes belong to a doctor that was killed, because none lives this long.
_LEFT_BEHIND = datetime.timedelta(seconds=120)
_STOPPED = "the doctor was stopped"
_RESULTS = "/dev/termination-log"  # its content becomes part of the pod's status


@dataclass(frozen=True)
class Attempt:
    """A connection to try."""

    what: str
    """Name of the target, for messages."""
    how: Literal["name", "tcp", "http", "webhook"]
    """What is sent; see scripts/doctor/probe.sh."""
    host: str
    """Address, host name, or ``api-server``."""
    port: int
    expected: Expected
    """What the settings say. An unexpected result is tried again for a few seconds."""
    listens: bool = True
    """Whether Kubernetes says that something listens there. If not, silence proves nothing."""
    path: str = ""
    """Path of a request."""
    server: str = ""
    """Host name of a server with TLS."""
    body: str = ""
    """Body of a request."""

    def line(self, number: int) -> str:
        """The attempt as the script reads it."""
        body = base64.b64encode(self.body.encode()).decode()
        return " ".join(
            [str(number), self.expected, self.how, self.host, str(self.port), self.path, self.server, body]
        ).rstrip()


@dataclass(frozen=True)
class Seen:
    """The result of an attempt."""

    state: str
    """open, refused, silent or unreachable."""
    detail: str = ""
    """HTTP status, or what the webhook has returned."""

    @property
    def open(self) -> bool:
        """Whether the connection was made."""
        return self.state == "open"


@dataclass(frozen=True)
class Source:
    """Where a probe runs, and what it tries."""

    what: str
    """Name of the source, for messages."""
    namespace: str
    """Existing namespace; empty for a new one, which is deleted with the pod."""
    user: int
    """User of the pod's process."""
    placement: Placement
    """Nodes on which the pod may run."""
    attempts: Sequence[Attempt]


@dataclass(frozen=True)
class Tried:
    """The results of a probe, or why there are none."""

    source: Source
    seen: Mapping[int, Seen] = field(default_factory=dict)
    """Results by the number of the attempt."""
    node: str = ""
    """Address of the node on which the pod ran."""
    problem: str = ""
    """Why the probe has no results; empty if it has."""
    created: str = ""
    """Time of its creation, by the cluster's clock."""

    def all(self) -> Iterator[tuple[Attempt, Seen]]:
        """Every attempt with its result."""
        for number, attempt in enumerate(self.source.attempts):
            if number in self.seen:
                yield attempt, self.seen[number]


class Probes:
    """Runs probes, and deletes their pods and namespaces, also after Ctrl-C."""

    def __init__(self) -> None:
        self._created: list[tuple[Cluster, str]] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        # The thread of the check may still be running. It must not create anything after this.
        with self._lock:
            self._ended.set()
        self.remove()

    def run(self, cluster: Cluster, image: str, node: str, sources: Sequence[Source]) -> list[Tried]:
        """Run a probe for each source at the same time, and delete the pods.

        Args:
            cluster: cluster of the stack.
            image: image with bash, and with openssl for the webhook.
            node: name of a node that has the image, and is preferred for that reason.
            sources: where to run a probe, and what it tries.
        """
        try:
            with ThreadPoolExecutor(len(sources)) as pool:
                tried = list(pool.map(lambda source: self._tried(cluster, image, node, source), sources))
            _remove_left_behind(cluster, max((one.created for one in tried), default=""))
            return tried
        finally:
            self.remove()

    def remove(self) -> None:
        """Delete everything that was created; the cluster finishes it in the background."""
        with self._lock:
            created, self._created = self._created, []
        for cluster, given in created:
            cluster.run("delete", "--filename=-", "--ignore-not-found", "--wait=false", given=given, seconds=10)

    def _tried(self, cluster: Cluster, image: str, node: str, source: Source) -> Tried:
        name = f"flyte-doctor-{secrets.token_hex(3)}"
        wanted = _objects(name, image, node, source)
        # Deleting the namespace deletes what is in it.
        first = json.dumps(wanted[0])
        with self._lock:
            if self._ended.is_set():
                return Tried(source, problem=_STOPPED)
            self._created.append((cluster, first))
            given = json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})
            answer = cluster.run("create", "--filename=-", "--output=json", given=given, seconds=10)
        if answer.returncode:
            return Tried(source, problem=f"the probe cannot be created: {one_line(answer.stderr, 300)}")
        metadata = documents(answer.stdout)[-1]["metadata"]
        tried = self._result(cluster, source, metadata["name"], metadata["namespace"])
        return replace(tried, created=str(metadata.get("creationTimestamp", "")))

    def _result(self, cluster: Cluster, source: Source, name: str, namespace: str) -> Tried:
        """Wait until the pod has ended; return what it has seen."""
        end = time.monotonic() + _PATIENCE
        while True:
            answer = cluster.run("get", "pod", name, f"--namespace={namespace}", "--output=json", seconds=5)
            if answer.returncode:
                return Tried(source, problem=f"the probe cannot be read: {one_line(answer.stderr, 300)}")
            status = json.loads(answer.stdout).get("status", {})
            state: Object = next((one.get("state", {}) for one in status.get("containerStatuses", [])), {})
            waiting = state.get("waiting", {}).get("reason", "")
            if ended := state.get("terminated"):
                seen = _parsed(ended.get("message", ""))
                if len(seen) < len(source.attempts):
                    reason = f"{ended.get('reason', 'unknown')}, exit code {ended.get('exitCode', 'unknown')}"
                    return Tried(source, problem=f"the probe ended without all of its results ({reason})")
                return Tried(source, seen, status.get("hostIP", ""))
            if "Image" in waiting:
                return Tried(source, problem=f"the probe does not get its image, that of the database ({waiting})")
            if time.monotonic() > end:
                return Tried(source, problem=f"the probe had no result within {_PATIENCE} s: {_why(status, waiting)}")
            if self._ended.wait(0.4):
                return Tried(source, problem=_STOPPED)


def _objects(name: str, image: str, node: str, source: Source) -> list[Object]:
    """The pod of a probe, as Pod Security *restricted* requires; before it, its namespace if it gets one of its own."""
    labels = {LABEL: "probe"}
    namespace = source.namespace or name
    own: list[Object] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {**labels, "pod-security.kubernetes.io/enforce": "restricted"}},
        },
        # The account `default` appears only a moment after its namespace.
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": SERVICE_ACCOUNT, "namespace": name}},
    ]
    environment = {
        "ATTEMPTS": "\n".join(attempt.line(number) for number, attempt in enumerate(source.attempts)),
        "PATIENCE": str(_SETTLING),
        "RESULTS": _RESULTS,
    }
    container: Object = {
        "name": "probe",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["bash", "-c", (ROOT / "scripts" / "doctor" / "probe.sh").read_text()],
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": _RESULTS,
    }
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "serviceAccountName": SERVICE_ACCOUNT,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": _DEADLINE,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": source.user,
                "runAsGroup": source.user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            **placement_values(source.placement),
        },
    }
    if node:
        by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        preferred = [{"weight": 100, "preference": by_name}]
        pod["spec"]["affinity"] = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    return [pod] if source.namespace else [*own, pod]


def _why(status: Object, waiting: str) -> str:
    """Return why a pod has not ended yet."""
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"it has no node ({one_line(condition.get('message', 'no reason is given'), 200)})"
    return waiting or str(status.get("phase", "its phase is unknown"))


def _parsed(message: str) -> dict[int, Seen]:
    words = [line.split() for line in message.splitlines()]
    return {int(number): Seen(state, *detail[:1]) for number, state, *detail in words if number.isdigit()}


def _remove_left_behind(cluster: Cluster, now: str) -> None:
    """Delete the probes of a doctor that was killed, but not those of one that is running now.

    Args:
        cluster: cluster of the stack.
        now: current time by the clock of the cluster, whose times are compared with it; empty if it is unknown.
    """
    kinds = ["namespaces,pods", "--all-namespaces", f"--selector={LABEL}"]
    answer = cluster.run("get", *kinds, "--output=json", seconds=5)
    # A user who may not list all namespaces leaves them where they are.
    if answer.returncode or not now:
        return
    latest = datetime.datetime.fromisoformat(now) - _LEFT_BEHIND
    old = [
        {"apiVersion": "v1", "kind": found["kind"], "metadata": _identity(found["metadata"])}
        for found in documents(answer.stdout)
        if datetime.datetime.fromisoformat(found["metadata"]["creationTimestamp"]) < latest
        and not found["metadata"].get("deletionTimestamp")
    ]
    if old:
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": old})
        cluster.run("delete", "--filename=-", "--ignore-not-found", "--wait=false", given=given, seconds=10)


def _identity(metadata: Object) -> Object:
    return {key: value for key, value in metadata.items() if key in {"name", "namespace"}}

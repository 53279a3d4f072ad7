"""What the workloads of a namespace wait for, as far as the API server knows."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ops.lib.kubectl import Cluster
from ops.lib.pull_problems import PullProblem, pull_problem
from ops.lib.text import one_line

Object = dict[str, Any]
# Fetched in one request.
_KINDS = "statefulsets,deployments,pods,jobs,persistentvolumeclaims,ingresses,events"

Cause = Literal["node", "pull", "ending", "schedule", "image", "memory", "crash", "running", "other"]
_HELPED_BY_TIME = {"node", "pull", "ending"}


@dataclass(frozen=True)
class Trouble:
    """Why a pod is not ready."""

    cause: Cause
    """``node`` is away, ``pull`` of an image, ``ending`` of the pod, ``schedule``: it has no node, ``image`` cannot be
    pulled, ``memory``: it needs more, ``crash``, ``running``: its log says more, ``other``.
    """
    says: str
    """Description, with the name of the pod."""
    container: str = ""
    """Container that the cause is about, if it is about one."""
    image: str = ""
    """Image that cannot be pulled, if that is the cause."""
    pull_problem: PullProblem = ""
    """Why it cannot be pulled, if that is known."""

    @property
    def time_helps(self) -> bool:
        """Whether this ends by itself, however long it takes."""
        return self.cause in _HELPED_BY_TIME


@dataclass(frozen=True)
class Waiting:
    """A workload that is not ready, or a Job that has not ended."""

    what: str
    """Kind and name, such as ``statefulset/minio``."""
    trouble: Trouble
    pod: str = ""
    """Name of its newest pod; empty if there is none."""
    outdated: bool = False
    """Whether this pod of a StatefulSet has an older spec.

    Kubernetes does not replace a pod that never became ready, even if its StatefulSet is corrected
    (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback).
    """


@dataclass(frozen=True)
class Workloads:
    """The workloads of a namespace at one moment."""

    objects: Sequence[Object]
    """The workloads, their pods, volumes and events."""
    away: Collection[str] = ()
    """Names of the nodes that are not ready."""

    def of(self, kind: str) -> list[Object]:
        """Return the objects of a kind, such as ``Pod``."""
        return [found for found in self.objects if found["kind"] == kind]

    def warnings(self, name: str, pod: Object | None = None) -> list[str]:
        """Return the two newest warnings about a volume, or about a workload and its current ``pod``."""
        # By UID: earlier pods had the same name.
        uid = pod["metadata"]["uid"] if pod else None

        def concerns(event: Object) -> bool:
            about = event["involvedObject"]
            if about["kind"] == "Pod":
                return bool(about.get("uid") == uid)
            return bool(about["name"] == name) or (
                about["kind"] == "ReplicaSet" and str(about["name"]).startswith(f"{name}-")
            )

        found = [event for event in self._events() if event["type"] == "Warning" and concerns(event)]
        return [f"{event['reason']}: {one_line(event['message'])}" for event in found[-2:]]

    def newest_pod(self, workload: Object) -> Object | None:
        """Return the newest pod that a workload selects."""
        pods = [pod for pod in self.of("Pod") if _selected(pod, workload)]
        return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), default=None)

    def trouble(self, pod: Object) -> Trouble:
        """Return why a pod is not ready."""
        name, node = pod["metadata"]["name"], pod["spec"].get("nodeName")
        if node in self.away:
            return Trouble("node", f"{name} is on the node {node}, which is not ready")
        if pod["metadata"].get("deletionTimestamp"):
            return Trouble("ending", f"{name} is terminating")
        for condition in pod["status"].get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                why = f"{name} has no node ({one_line(condition.get('message', 'no reason is given'))})"
                if self.away:
                    return Trouble("node", f"{why}; not ready: {', '.join(sorted(self.away))}")
                return Trouble("schedule", why)
        for status in statuses(pod):
            found = self._trouble_of(pod, status)
            if found:
                return found
        phase = pod["status"].get("phase", "in an unknown phase")
        containers = [status["name"] for status in statuses(pod) if "running" in status.get("state", {})]
        if containers:
            return Trouble("running", f"{name} is {phase} and not ready yet", containers[-1])
        return Trouble("other", f"{name} is {phase} and not ready yet")

    @property
    def jobs(self) -> list[Object]:
        """The Jobs that belong to a deployment. Those that a CronJob starts from time to time do not."""
        return [job for job in self.of("Job") if not _from_cron_job(job)]

    def waiting(self) -> Iterator[Waiting]:
        """Yield what is not ready yet."""
        for kind in ("StatefulSet", "Deployment"):
            for workload in self.of(kind):
                if not _ready(workload):
                    yield self.waiting_for(workload)
        for pod in self.of("Pod"):
            if _of_database_cluster(pod) and not _is_ready(pod):
                yield Waiting(f"pod/{pod['metadata']['name']}", self.trouble(pod), pod["metadata"]["name"])
        for job in self.jobs:
            if not _ended(job) and "pulumi.com/skipAwait" not in job["metadata"].get("annotations", {}):
                yield self.waiting_for(job)

    def waiting_for(self, workload: Object) -> Waiting:
        """Return what a workload waits for that is not ready, or a Job that has not ended."""
        name = workload["metadata"]["name"]
        what = f"{workload['kind'].lower()}/{name}"
        if workload["spec"].get("replicas") == 0:
            return Waiting(what, Trouble("other", "it is scaled to 0"))
        pod = self.newest_pod(workload)
        if not pod:
            return Waiting(what, Trouble("other", "; ".join(["it has no pod", *self.warnings(name)])))
        trouble = self.trouble(pod)
        if workload["kind"] == "Job" and trouble.cause == "running":
            trouble = Trouble("running", f"{pod['metadata']['name']} is at work", trouble.container)
        # Where the pod has no node because of its volume, the reason is an event of the volume.
        about = [name, *(claims_of(workload) if trouble.cause == "schedule" else [])]
        if trouble.cause not in {"pull", "image", "running", "node"}:
            warnings = [line for one in about for line in self.warnings(one, pod if one == name else None)]
            # Once, if volume and workload have the same name.
            trouble = Trouble(trouble.cause, "; ".join(dict.fromkeys([trouble.says, *warnings])), trouble.container)
        revision = pod["metadata"].get("labels", {}).get("controller-revision-hash")
        wanted = workload["status"].get("updateRevision", revision)
        outdated = workload["kind"] == "StatefulSet" and revision != wanted and trouble.cause not in {"node", "ending"}
        return Waiting(what, trouble, pod["metadata"]["name"], outdated)

    def _trouble_of(self, pod: Object, status: Object) -> Trouble | None:
        """Return why a container is not ready; None if it is not to blame."""
        name, container = pod["metadata"]["name"], status["name"]
        waiting = status.get("state", {}).get("waiting", {})
        reason, last = waiting.get("reason", ""), terminated(status)
        if last == "OOMKilled":
            return Trouble("memory", f"{name} needs more memory than its limit (OOMKilled)", container)
        if "Image" in reason:
            message = one_line(waiting.get("message", ""), 200)
            says = f"{name} cannot get its image {status['image']} ({': '.join(filter(None, [reason, message]))})"
            return Trouble("image", says, container, status["image"], pull_problem(waiting.get("message", "")))
        if reason == "CrashLoopBackOff":
            code = status.get("lastState", {}).get("terminated", {}).get("exitCode", "unknown")
            return Trouble("crash", f"{name} keeps exiting with code {code} (CrashLoopBackOff)", container)
        if reason not in {"", "PodInitializing", "ContainerCreating"}:
            return Trouble("other", f"{name}: {reason}: {one_line(waiting.get('message', ''))}", container)
        if reason and self._pulls(pod, status["image"]):
            return Trouble("pull", f"{name} is pulling its image {status['image']}", container)
        return None

    def _pulls(self, pod: Object, image: str) -> bool:
        """Return whether the last thing that the kubelet said about an image of a pod is that it pulls it."""
        said = [
            event["reason"]
            for event in self._events()
            if event["involvedObject"].get("uid") == pod["metadata"]["uid"]
            and event["reason"] in {"Pulling", "Pulled", "Failed", "BackOff"}
            and f'"{image}"' in event["message"]
        ]
        return said[-1:] == ["Pulling"]

    def _events(self) -> list[Object]:
        """Return the events, the newest last. The API server leaves out what is empty."""
        found = [{"type": "", "reason": "", "message": "", **event} for event in self.of("Event")]
        return sorted(found, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))


def workloads(cluster: Cluster, namespace: str) -> Workloads:
    """Return the workloads of a namespace as they are now.

    Raises:
        SettingsError: the cluster does not answer.
    """
    answer = cluster.ask("get", _KINDS, f"--namespace={namespace}", "--output=json")
    # Not every user may look at nodes.
    nodes = cluster.run("get", "nodes", "--output=json")
    away = [node["metadata"]["name"] for node in json.loads(nodes.stdout or '{"items": []}')["items"] if _away(node)]
    return Workloads(json.loads(answer)["items"], away)


def statuses(pod: Object) -> list[Object]:
    """Return the statuses of a pod's containers, the init containers first."""
    return [*pod["status"].get("initContainerStatuses", []), *pod["status"].get("containerStatuses", [])]


def terminated(status: Object) -> str:
    """Return why a container ended, now or the last time; empty if it never ended with an error."""
    for state in (status.get("state", {}), status.get("lastState", {})):
        if "terminated" in state and state["terminated"].get("reason") != "Completed":
            return str(state["terminated"].get("reason", ""))
    return ""


def _away(node: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] != "True" for one in node["status"].get("conditions", []))


def _from_cron_job(job: Object) -> bool:
    return any(owner["kind"] == "CronJob" for owner in job["metadata"].get("ownerReferences", []))


def _of_database_cluster(pod: Object) -> bool:
    """Whether the operator CloudNativePG has created a pod itself: a server, but not a Job that prepares one."""
    return any(owner["kind"] == "Cluster" for owner in pod["metadata"].get("ownerReferences", []))


def _is_ready(pod: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))


def _ready(workload: Object) -> bool:
    status, wanted = workload["status"], workload["spec"].get("replicas", 1)
    if status.get("observedGeneration") != workload["metadata"].get("generation"):
        return False
    there = min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0))
    return bool(wanted and there >= wanted)


def _ended(job: Object) -> bool:
    conditions = job["status"].get("conditions", [])
    return any(one["type"] in {"Complete", "Failed"} and one["status"] == "True" for one in conditions)


def _selected(pod: Object, workload: Object) -> bool:
    labels = pod["metadata"].get("labels", {})
    wanted: dict[str, str] = workload["spec"]["selector"]["matchLabels"]
    return all(labels.get(label) == value for label, value in wanted.items())


def claims_of(workload: Object) -> list[str]:
    """Return the names of the volume claims that a workload's pods mount."""
    volumes = workload["spec"]["template"]["spec"].get("volumes", [])
    return [one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one]

"""Jobs made from the CronJobs of the backup: started, followed to their end, with their result."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from ops.lib.kubectl import Cluster
from ops.lib.text import one_line
from ops.lib.workloads import Object
from settings.errors import SettingsError

_RESULT = "RESULT "
# Containers that run as long as their pod, and whose log is of no interest.
_SERVERS = "drill-"
_DETAIL = ":   restic: "
_DAY = 24 * 60 * 60
_END_SECONDS = 90


@dataclass(frozen=True)
class RunningJob:
    """A Job in the cluster, whose steps are containers that run one after the other.

    Args:
        cluster: the cluster.
        namespace: namespace of the Job.
        name: name of the Job.
    """

    cluster: Cluster
    namespace: str
    name: str
    out: TextIO = sys.stdout
    """Receives the lines of its log."""
    begins: Callable[[str], None] = lambda _step: None
    """Called with the name of each step when it begins."""

    def result(self) -> dict[str, Any]:
        """Show its log until it has ended; return its result.

        Raises:
            SettingsError: it failed; the message is the last line of its log.
        """
        said = ""
        result = ""
        for line in self._lines():
            if line.startswith(_RESULT):
                result = line
            else:
                # What restic said itself comes after the message, and explains less.
                said = said if _DETAIL in line else line
                self.out.write(f"  {line}\n")
                self.out.flush()
        if not self._succeeded():
            raise SettingsError(said or f"the Job {self.name} in {self.namespace} failed without a message")
        result = result or self._result()
        if not result:
            raise SettingsError(f"the Job {self.name} in {self.namespace} has succeeded, but its log is not complete")
        return dict(json.loads(result.removeprefix(_RESULT)))

    def _result(self) -> str:
        """Return the line with the result, if the connection broke while the log was followed."""
        log = self.cluster.run("logs", f"job/{self.name}", f"--namespace={self.namespace}", "--tail=20")
        return next((line for line in log.stdout.splitlines() if line.startswith(_RESULT)), "")

    def _lines(self) -> Iterator[str]:
        """Yield the lines of all steps of all its pods, until it has ended."""
        seen: set[tuple[str, str]] = set()
        told = ""
        while True:
            ended = self._ended()
            for pod in self._pods():
                for step in self._begun(pod):
                    if (pod["metadata"]["name"], step) not in seen:
                        seen.add((pod["metadata"]["name"], step))
                        self.begins(step)
                        yield from self._log(pod["metadata"]["name"], step)
                if (waits := _waits_for(pod)) and waits != told:
                    told = waits
                    yield f"waiting: {waits}"
            if ended:
                return
            time.sleep(0.5)

    def _pods(self) -> list[Object]:
        answer = self.cluster.run(
            "get",
            "pods",
            f"--namespace={self.namespace}",
            f"--selector=batch.kubernetes.io/job-name={self.name}",
            "--output=json",
        )
        found: list[Object] = json.loads(answer.stdout)["items"] if not answer.returncode else []
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    @staticmethod
    def _begun(pod: Object) -> Iterator[str]:
        status = pod.get("status", {})
        for one in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            if "waiting" not in one["state"] and not one["name"].startswith(_SERVERS):
                yield one["name"]

    def _log(self, pod: str, step: str) -> Iterator[str]:
        """Yield the lines of a step, until it has ended."""
        command = self.cluster.command("logs", pod, f"--container={step}", f"--namespace={self.namespace}", "--follow")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout  # noqa: S101 (it is a pipe)
            for line in process.stdout:
                if line.strip():
                    yield line.rstrip("\n")

    def _ended(self) -> bool:
        return bool(self._conditions())

    def _succeeded(self) -> bool:
        return "Complete" in self._conditions()

    def _conditions(self) -> set[str]:
        answer = self.cluster.run("get", "job", self.name, f"--namespace={self.namespace}", "--output=json")
        if answer.returncode and "NotFound" in answer.stderr:
            raise SettingsError(f"the Job {self.name} in {self.namespace} was deleted")
        status = json.loads(answer.stdout)["status"] if not answer.returncode else {}
        return {
            one["type"]
            for one in status.get("conditions", [])
            if one["status"] == "True" and one["type"] in {"Complete", "Failed"}
        }


@dataclass
class Job:
    """A Job from the template of a CronJob.

    Args:
        cluster: the cluster.
        namespace: namespace of the CronJob.
        template: name of the CronJob.
    """

    cluster: Cluster
    namespace: str
    template: str
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of all its steps that differ from the template. No secrets."""
    retries: int = 0
    """How often it starts again after a failure."""
    removed: bool = False
    """Whether it is deleted at its end, with its volumes."""
    counts: bool = True
    """Whether it counts as a run of the CronJob, by whose success the doctor goes."""
    out: TextIO = sys.stdout
    """Receives the lines of its log."""
    begins: Callable[[str], None] = lambda _step: None
    """Called with the name of each step when it begins."""
    manifest: Callable[[Object], None] = lambda _job: None
    """Changes the Job before it is created."""

    def run(self) -> dict[str, Any]:
        """Run it to its end, and return its result.

        Raises:
            SettingsError: it failed; the message is the last line of its log. Or there is no such CronJob.
        """
        name = self._create()
        try:
            return RunningJob(self.cluster, self.namespace, name, self.out, self.begins).result()
        finally:
            if self.removed:
                # With its pod: after Ctrl-C, no step of it may still run when the caller cleans up.
                where = [f"--namespace={self.namespace}", "--cascade=foreground", f"--timeout={_END_SECONDS}s"]
                self.cluster.run("delete", "job", name, *where, seconds=_END_SECONDS + 5)

    def _create(self) -> str:
        answer = self.cluster.run("get", "cronjob", self.template, f"--namespace={self.namespace}", "--output=json")
        if answer.returncode:
            missing = "NotFound" in answer.stderr
            raise SettingsError(
                f"the CronJob {self.template} is not in the namespace {self.namespace}; set flyte-home:backup.target, "
                "and run make up"
                if missing
                else f"kubernetes:context: the cluster of {self.cluster.context!r} does not answer: "
                f"{one_line(answer.stderr)}"
            )
        template = json.loads(answer.stdout)
        name = f"{self.template}-{secrets.token_hex(4)}"
        spec = template["spec"]["jobTemplate"]["spec"]
        spec["backoffLimit"] = self.retries
        spec["ttlSecondsAfterFinished"] = _DAY
        pod = spec["template"]["spec"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            for variable in container.get("env", []):
                if variable["name"] in self.variables:
                    variable["value"] = self.variables[variable["name"]]
                    variable.pop("valueFrom", None)
        owner = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": self.template,
            "uid": template["metadata"]["uid"],
            "controller": self.counts,
        }
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": template["metadata"].get("labels", {}),
                "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
                "ownerReferences": [owner],
            },
            "spec": spec,
        }
        self.manifest(job)
        created = self.cluster.run("create", "--filename=-", given=json.dumps(job))
        if created.returncode:
            raise SettingsError(f"the Job {name} cannot be created in {self.namespace}: {one_line(created.stderr)}")
        return name


def _waits_for(pod: Object) -> str:
    """Return why no step of a pod runs; empty if that is normal."""
    status = pod.get("status", {})
    for one in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = one["state"].get("waiting", {})
        if waiting.get("reason", "PodInitializing") not in {"PodInitializing", "ContainerCreating"}:
            return f"{one['name']}: {waiting['reason']}: {one_line(waiting.get('message', ''))}"
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{pod['metadata']['name']}: {one_line(condition.get('message', ''))}"
    return ""

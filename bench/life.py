"""How long a stack takes to start, to stay as it is, to restart Flyte, and to end."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from bench.figures import figure, shown
from bench.program import Program, flyte_home, projects, stack_file
from bench.report import Table
from bench.timed import say
from ops.lib.kubectl import Cluster, documents
from settings import PROJECT
from settings.errors import SettingsError

PROJECT_NAME = "bench"
DOMAIN = "development"
_DEFINITION = "flyteworkflows.flyte.lyft.com"
# Label of a pod, and what its milestone is called.
_READY = {
    "postgres": "database ready",
    "minio": "object store ready",
    "flyte-webhook": "secrets webhook ready",
    "flyte-binary": "Flyte ready",
}


def seconds(time_: str) -> float:
    """Seconds since 1970 of a time as Kubernetes and Flyte write it; Kubernetes' have no fraction."""
    head, _, fraction = time_.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}+00:00").timestamp() + float(f"0.{fraction or 0}")


def milestones(objects: Sequence[Mapping[str, Any]], begin: float) -> dict[str, float]:
    """Seconds after ``begin`` at which the pods of the platform became ready and its Jobs ended, to the second.

    Args:
        objects: the pods and Jobs of the namespace.
        begin: seconds since 1970.
    """
    found: dict[str, float] = {}
    pods = [one for one in objects if one["kind"] == "Pod"]
    if pods:
        found["first pod created"] = min(seconds(pod["metadata"]["creationTimestamp"]) for pod in pods) - begin
    for pod in pods:
        name = pod["metadata"].get("labels", {}).get("app.kubernetes.io/name", "")
        ready = [
            one for one in pod["status"].get("conditions", []) if one["type"] == "Ready" and one["status"] == "True"
        ]
        if name in _READY and ready:
            found[_READY[name]] = seconds(ready[0]["lastTransitionTime"]) - begin
        if name == "flyte-binary":
            found["Flyte's pod created"] = seconds(pod["metadata"]["creationTimestamp"]) - begin
    for job in (one for one in objects if one["kind"] == "Job"):
        if ended := job["status"].get("completionTime"):
            name = job["metadata"]["name"].rsplit("-", 1)[0]
            found[f"Job {name} ended"] = seconds(ended) - begin
    return dict(sorted(found.items(), key=lambda item: item[1]))


def check_free(cluster: Cluster) -> None:
    """Check that the cluster has no Flyte, because there can be only one.

    Raises:
        SettingsError: there is one.
    """
    if _DEFINITION in cluster.ask("get", "customresourcedefinitions", "--output=name"):
        raise SettingsError(
            f"kubernetes:context: {cluster.context!r} already has a Flyte; make bench deploys its own and destroys it, "
            "so it needs a cluster without one: CONTEXT=name"
        )


@contextmanager
def deployed(cluster: Cluster, more: Mapping[str, Any], times: dict[str, list[float]]) -> Iterator[Program]:
    """A stack of one project and domain that is destroyed at the end; ``times`` receives how long both took.

    Raises:
        SettingsError: the cluster has a Flyte, or Pulumi failed.
    """
    check_free(cluster)
    with projects() as folder:
        program = flyte_home(folder / "own", stack_file(cluster, [PROJECT_NAME], {"domains": [DOMAIN], **more}))
        program.pulumi("preview")  # compiles bytecode
        begin = time.time()
        try:
            times.setdefault("first up", []).append(_done("up", program, "up", "--yes", "--skip-preview"))
            for name, after in milestones(_objects(cluster), begin).items():
                times.setdefault(f"first up: {name}", []).append(after)
            yield program
        finally:
            times.setdefault("destroy", []).append(_done("destroy", program, "destroy", "--yes", "--skip-preview"))


def measure(cluster: Cluster, runs: int, more: Mapping[str, Any]) -> Table:
    """The table of a stack's life, each step ``runs`` times."""
    times: dict[str, list[float]] = {}
    for turn in range(runs):
        say(f"life of a stack, {turn + 1}/{runs}")
        with deployed(cluster, more, times) as program:
            unchanged = _done("up without changes", program, "up", "--yes", "--skip-preview")
            times.setdefault("up without changes", []).append(unchanged)
            for level in ("4", "3"):
                program.pulumi("config", "set", "--path", f"{PROJECT}:flyte.logLevel", level)
                roll = _done("restart of Flyte", program, "up", "--yes", "--skip-preview")
                times.setdefault("up that restarts Flyte", []).append(roll)
    return table(times)


def table(times: Mapping[str, Sequence[float]]) -> Table:
    """The table of these times in seconds, by what took them."""
    rows = [
        [name, f"{shown(one.median)} s", one.spread, str(one.count)]
        for name, one in ((name, figure(found)) for name, found in times.items())
    ]
    return Table("life", ("step", "median", "spread", "runs"), rows, "make bench PARTS=life")


def _done(what: str, program: Program, *command: str) -> float:
    """Run a command of Pulumi; return its seconds."""
    run = program.pulumi(*command)
    say(f"{what}: {run.wall:.1f} s")
    return run.wall


def _objects(cluster: Cluster) -> list[dict[str, Any]]:
    return documents(cluster.ask("get", "pods,jobs", "--namespace=flyte", "--output=json"))

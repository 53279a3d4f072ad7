"""Executions that will never end: rows without a FlyteWorkflow, and FlyteWorkflows without a running row.

Flyte's database and the cluster can disagree after a restore, after a namespace was deleted and recreated, or after a
FlyteWorkflow was deleted by force. Flyte does not notice. Terminating such a row leaves it in ABORTING
(https://github.com/flyteorg/flyte/issues/5547), because only the engine ends an execution, and the engine has nothing
left to abort. The event that the engine would have sent ends it.
"""

import urllib.parse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from components.flyte.names import WORKFLOWS
from ops.lib.client import Client
from ops.lib.flyte_rest import FlyteError, ask
from ops.lib.kubectl import Cluster
from ops.lib.text import one_line
from settings import Settings
from settings.projects import filled

GRACE = timedelta(minutes=2)
"""Age below which nothing counts as stuck: Flyte creates the FlyteWorkflow before the row, and needs a moment to see
that one is gone."""
CAUSE = "The cluster no longer runs this execution; ended by make abort-stuck"
"""Reason that Flyte shows for an ended execution."""
# https://github.com/flyteorg/flyte/blob/v1.16.8/flyteidl/protos/flyteidl/core/execution.proto; all that are not final.
_RUNNING = ("UNDEFINED", "QUEUED", "RUNNING", "SUCCEEDING", "FAILING", "ABORTING")
_PAGE = 100
# Projects and domains that are asked at the same time.
_AT_ONCE = 4
# One line for each FlyteWorkflow: the objects themselves may have a megabyte each.
_LINES = (
    '{range .items[*]}{.metadata.name}{"\\t"}{.metadata.creationTimestamp}{"\\t"}'
    '{.metadata.labels.termination-status}{"\\n"}{end}'
)
_ENDED = "terminated"


@dataclass(frozen=True)
class Place:
    """Where executions run: a project in a domain."""

    project: str
    domain: str
    namespace: str
    """Namespace of its tasks and FlyteWorkflows."""


@dataclass(frozen=True)
class Stuck:
    """An execution that will never end by itself."""

    place: Place
    name: str
    phase: str
    """Phase of its row; empty if it has none."""
    workflow: bool
    """Whether a FlyteWorkflow runs without a running row; otherwise there is a running row without one that runs."""

    def __str__(self) -> str:
        lacks = "still runs in the cluster" if self.workflow else "no longer runs in the cluster"
        return f"{self.place.project}/{self.place.domain}/{self.name} ({self.phase or 'not in the database'}) {lacks}"


def places(client: Client, settings: Settings) -> list[Place]:
    """Return every project and domain that Flyte has, also those that the settings no longer have.

    Raises:
        FlyteError: Flyte does not answer.
    """
    found = ask(client, "GET", "/api/v1/projects?limit=1000").get("projects") or []
    return [
        Place(project["id"], domain["id"], filled(settings.namespace_template, project["id"], domain["id"]))
        for project in found
        for domain in project.get("domains") or []
    ]


def find_stuck(cluster: Cluster, client: Client, place: Place, grace: timedelta = GRACE) -> list[Stuck]:
    """Return the stuck executions of a project in a domain.

    Args:
        cluster: cluster of the stack.
        client: client of the stack, logged in if Flyte requires it.
        place: the project and domain.
        grace: age below which nothing counts as stuck.

    Raises:
        FlyteError: Flyte or the cluster does not answer.
    """
    before = datetime.now(UTC) - grace
    # The rows first: an execution whose row is found has had its FlyteWorkflow for longer.
    rows = {row["id"]["name"]: row for row in _running_rows(client, place)}
    workflows = dict(_workflows(cluster, place.namespace))
    found = [
        Stuck(place, name, row["closure"]["phase"], workflow=False)
        for name, row in rows.items()
        # One that has ended says so to Flyte first. Only after a restore can the row be older.
        if not workflows.get(name) and _time(row["closure"]["created_at"]) < before
    ]
    orphans = [name for name, created in workflows.items() if created and created < before and name not in rows]
    for name in orphans:
        closure = _row(client, place, name).get("closure", {})
        if "updated_at" not in closure or _time(closure["updated_at"]) < before:
            found.append(Stuck(place, name, closure.get("phase", ""), workflow=True))
    return found


def find_all_stuck(
    cluster: Cluster, client: Client, found: Sequence[Place], grace: timedelta = GRACE
) -> Iterator[Stuck]:
    """Yield the stuck executions of these projects and domains.

    Raises:
        FlyteError: Flyte or the cluster does not answer.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for stuck in pool.map(lambda place: find_stuck(cluster, client, place, grace), found):
            yield from stuck


def end_stuck(cluster: Cluster, client: Client, stuck: Stuck, cause: str = CAUSE) -> None:
    """End a stuck execution: afterwards Flyte shows it as ABORTED, and the cluster has nothing of it.

    It can be repeated, also if it was killed.

    Args:
        cluster: cluster of the stack.
        client: client of the stack, logged in if Flyte requires it.
        stuck: the execution.
        cause: reason that Flyte shows.

    Raises:
        FlyteError: Flyte or the cluster does not answer, or rejects it.
    """
    if stuck.workflow:
        _delete_workflow(cluster, stuck.place.namespace, stuck.name)
    else:
        _abort_row(client, stuck, cause)


def end_all_stuck(
    cluster: Cluster, client: Client, found: Sequence[Place], grace: timedelta = GRACE, cause: str = CAUSE
) -> Iterator[Stuck]:
    """End every stuck execution of these projects and domains, and yield each when it has ended.

    Raises:
        FlyteError: see `find_stuck` and `end_stuck`.
    """
    for stuck in find_all_stuck(cluster, client, found, grace):
        end_stuck(cluster, client, stuck, cause)
        yield stuck


def _running_rows(client: Client, place: Place) -> Iterator[dict[str, Any]]:
    filters = f"value_in(phase,{';'.join(_RUNNING)})"
    token = ""
    while True:
        query = urllib.parse.urlencode({"limit": _PAGE, "filters": filters, "token": token})
        answer = ask(client, "GET", f"/api/v1/executions/{place.project}/{place.domain}?{query}")
        yield from answer.get("executions") or []
        token = answer.get("token", "")
        if not token:
            return


def _row(client: Client, place: Place, name: str) -> dict[str, Any]:
    """Return the row of an execution; empty if there is none."""
    return ask(client, "GET", f"/api/v1/executions/{place.project}/{place.domain}/{name}", missing=True)


def _workflows(cluster: Cluster, namespace: str) -> Iterator[tuple[str, datetime | None]]:
    """Yield the FlyteWorkflows of a namespace, with the time of creation of those that have not ended."""
    answer = cluster.run("get", WORKFLOWS, f"--namespace={namespace}", f"--output=jsonpath={_LINES}", seconds=60)
    if answer.returncode:
        raise FlyteError(f"the FlyteWorkflows in {namespace} cannot be listed: {one_line(answer.stderr)}")
    for line in answer.stdout.splitlines():
        name, created, status = line.split("\t")
        yield name, None if status == _ENDED else _time(created)


def _abort_row(client: Client, stuck: Stuck, cause: str) -> None:
    place = stuck.place
    path = f"/api/v1/executions/{place.project}/{place.domain}/{stuck.name}"
    identifier = {"project": place.project, "domain": place.domain, "name": stuck.name}
    event = {"execution_id": identifier, "phase": "ABORTED", "occurred_at": _text(datetime.now(UTC))}
    try:
        if stuck.phase != "ABORTING":  # otherwise it already has the cause that a person gave
            ask(client, "DELETE", path, {"cause": cause})
        ask(client, "POST", "/api/v1/events/workflows", {"request_id": f"{stuck.name}-aborted", "event": event})
    except FlyteError:
        if _row(client, place, stuck.name).get("closure", {}).get("phase") in _RUNNING:
            raise


def _delete_workflow(cluster: Cluster, namespace: str, name: str) -> None:
    """Delete a FlyteWorkflow with its pods. Flyte's engine, which would remove the finalizers, may not be able to."""
    pods = ("pods", f"--namespace={namespace}", f"--selector=execution-id={name}")
    _kubectl(cluster, "delete", WORKFLOWS, name, f"--namespace={namespace}", "--ignore-not-found", "--wait=false")
    _release(cluster, namespace, [f"{WORKFLOWS}/{name}"])
    _kubectl(cluster, "delete", *pods, "--wait=false")
    _release(cluster, namespace, _kubectl(cluster, "get", *pods, "--output=name").split())


def _release(cluster: Cluster, namespace: str, objects: Sequence[str]) -> None:
    for one in objects:
        patch = ("patch", one, f"--namespace={namespace}", "--type=merge", '--patch={"metadata":{"finalizers":null}}')
        answer = cluster.run(*patch)
        if answer.returncode and "NotFound" not in answer.stderr:
            raise FlyteError(f"{one} in {namespace} cannot be released: {one_line(answer.stderr)}")


def _kubectl(cluster: Cluster, *arguments: str) -> str:
    answer = cluster.run(*arguments, seconds=60)
    if answer.returncode:
        raise FlyteError(f"kubectl {' '.join(arguments)}: {one_line(answer.stderr)}")
    return answer.stdout


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")

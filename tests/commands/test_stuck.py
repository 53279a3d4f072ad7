"""Stuck executions are found and ended, with stand-ins for Flyte's API and for kubectl."""

import http.server
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ops.doctor.stuck import check_stuck
from ops.lib.flyte_rest import FlyteError
from ops.lib.stuck import Place, Stuck, end_all_stuck, end_stuck, find_stuck, places
from tests.kubectl import FakeCluster, examined
from tests.processes import serving

PLACE = Place("remedy", "development", "remedy-development")
FINAL = {"SUCCEEDED", "FAILED", "ABORTED"}


def ago(**age: float) -> str:
    return (datetime.now(UTC) - timedelta(**age)).isoformat().replace("+00:00", "000Z")


@dataclass
class FakeFlyte:
    """Executions by name, changed as Flyte's admin changes them."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    page: int = 100
    calls: list[str] = field(default_factory=list)

    def add(self, name: str, phase: str, **age: float) -> None:
        identifier = {"project": "remedy", "domain": "development", "name": name}
        times = {"created_at": ago(**age), "updated_at": ago(**age)}
        self.rows[name] = {"id": identifier, "closure": {"phase": phase, **times}}

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        path = urlsplit(target).path.removeprefix("/api/v1/")
        self.calls.append(f"{method} {path}")
        match method, path.split("/"):
            case "GET", ["projects"]:
                return 200, {"projects": [{"id": "remedy", "domains": [{"id": "development"}]}]}
            case "GET", ["executions", _, "development"]:
                return 200, self._listed(parse_qs(urlsplit(target).query))
            case "POST", ["events", "workflows"]:
                closure = self.rows[body["event"]["execution_id"]["name"]]["closure"]
                if closure["phase"] in FINAL:
                    return 400, {"message": "already in a terminal state"}
                closure["phase"] = body["event"]["phase"]
                return 200, {}
            case _, ["executions", _, "development", name] if name not in self.rows:
                return 404, {"message": "missing entity"}
            case "GET", ["executions", _, _, name]:
                return 200, self.rows[name]
            case "DELETE", ["executions", _, _, name]:
                if self.rows[name]["closure"]["phase"] in FINAL:
                    return 400, {"message": "Cannot abort an already terminated workflow execution"}
                self.rows[name]["closure"] |= {"phase": "ABORTING", "abort_metadata": body}
                return 200, {}
        return 500, {"message": "unexpected"}

    def _listed(self, query: dict[str, list[str]]) -> Any:
        wanted = query["filters"][0].removeprefix("value_in(phase,").rstrip(")").split(";")
        found = [row for row in self.rows.values() if row["closure"]["phase"] in wanted]
        start = int(query.get("token", ["0"])[0] or 0)
        more = str(start + self.page) if start + self.page < len(found) else ""
        return {"executions": found[start : start + self.page], "token": more}

    @contextmanager
    def serve(self) -> Iterator[str]:
        flyte = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                given = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, content = flyte.answer(self.command, self.path, json.loads(given) if given else None)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 (the names that http.server looks for)

            def log_message(self, *_: Any) -> None:
                pass

        with serving(Handler) as address:
            yield address


@dataclass(frozen=True)
class Workflows(FakeCluster):
    """A cluster with FlyteWorkflows and their pods, each with a finalizer."""

    objects: dict[str, str] = field(default_factory=dict)
    """Time of creation and termination status, by name."""
    pods: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    """Objects that are being deleted, and that a finalizer holds."""

    def run(self, *arguments: str, given: str = "", seconds: float = 20) -> subprocess.CompletedProcess[str]:
        def answered(text: str = "") -> subprocess.CompletedProcess[str]:
            return subprocess.CompletedProcess(arguments, 0, text, "")

        match arguments:
            case "get", "flyteworkflows.flyte.lyft.com", *_:
                return answered("".join(f"{name}\t{state}\n" for name, state in self.objects.items()))
            case "delete", "flyteworkflows.flyte.lyft.com", name, *_:
                self.held.add(f"flyteworkflows.flyte.lyft.com/{name}")
                return answered()
            case "delete", "pods", _, selector, *_:
                name = selector.partition("execution-id=")[2]
                self.held.update(f"pod/{pod}" for pod in self.pods if pod.startswith(name))
                return answered()
            case "get", "pods", *_:
                return answered("".join(f"{one}\n" for one in self.held if one.startswith("pod/")))
            case "patch", one, *_:
                self.held.remove(one)
                self.objects.pop(one.partition("/")[2], None)
                self.pods.discard(one.partition("/")[2])
                return answered()
        return super().run(*arguments, given=given, seconds=seconds)


@pytest.fixture
def flyte() -> FakeFlyte:
    return FakeFlyte()


@pytest.fixture
def client(flyte: FakeFlyte) -> Iterator[Any]:
    with flyte.serve() as address:
        yield replace(examined().client, http=address)


def test_a_running_row_without_a_workflow_is_stuck(flyte: FakeFlyte, client: Any):
    flyte.add("lost", "RUNNING", minutes=5)
    flyte.add("fine", "RUNNING", minutes=5)
    flyte.add("ended", "SUCCEEDED", minutes=5)
    cluster = Workflows(objects={"fine": f"{ago(minutes=5)}\t"})

    (found,) = find_stuck(cluster, client, PLACE)

    assert str(found) == "remedy/development/lost (RUNNING) no longer runs in the cluster"


def test_a_running_row_whose_workflow_has_ended_is_stuck_as_after_a_restore(flyte: FakeFlyte, client: Any):
    flyte.add("restored", "RUNNING", minutes=5)
    cluster = Workflows(objects={"restored": f"{ago(minutes=5)}\tterminated"})

    (found,) = find_stuck(cluster, client, PLACE)

    assert (found.name, found.workflow) == ("restored", False)


@pytest.mark.parametrize("phase", ["UNDEFINED", "QUEUED", "RUNNING", "SUCCEEDING", "FAILING", "ABORTING"])
def test_every_phase_that_is_not_final_can_be_stuck(flyte: FakeFlyte, client: Any, phase: str):
    flyte.add("lost", phase, minutes=5)

    assert [one.phase for one in find_stuck(Workflows(), client, PLACE)] == [phase]


def test_an_execution_that_has_just_started_is_not_stuck(flyte: FakeFlyte, client: Any):
    flyte.add("young", "QUEUED", seconds=100)
    cluster = Workflows(objects={"younger": f"{ago(seconds=100)}\t"})

    assert find_stuck(cluster, client, PLACE) == []


def test_every_page_of_a_long_list_is_read(flyte: FakeFlyte, client: Any):
    flyte.page = 2
    for number in range(5):
        flyte.add(f"lost{number}", "RUNNING", minutes=5)

    assert len(find_stuck(Workflows(), client, PLACE)) == 5


def test_a_workflow_without_a_running_row_is_stuck_unless_it_has_ended(flyte: FakeFlyte, client: Any):
    flyte.add("aborted", "ABORTED", minutes=5)
    old = ago(minutes=5)
    cluster = Workflows(objects={"orphan": f"{old}\t", "aborted": f"{old}\t", "ended": f"{old}\tterminated"})

    found = find_stuck(cluster, client, PLACE)

    assert [(one.name, one.phase, one.workflow) for one in found] == [
        ("orphan", "", True),
        ("aborted", "ABORTED", True),
    ]


def test_a_workflow_whose_row_has_just_ended_is_not_stuck(flyte: FakeFlyte, client: Any):
    flyte.add("ending", "SUCCEEDED", seconds=1)
    cluster = Workflows(objects={"ending": f"{ago(minutes=5)}\t"})

    assert find_stuck(cluster, client, PLACE) == []


def test_a_stuck_row_ends_as_aborted_with_a_cause(flyte: FakeFlyte, client: Any):
    flyte.add("lost", "RUNNING", minutes=5)

    (ended,) = end_all_stuck(Workflows(), client, [PLACE], cause="restored")

    assert ended.name == "lost"
    assert flyte.rows["lost"]["closure"]["phase"] == "ABORTED"
    assert flyte.rows["lost"]["closure"]["abort_metadata"] == {"cause": "restored"}
    assert list(end_all_stuck(Workflows(), client, [PLACE])) == []


def test_an_execution_that_a_person_has_terminated_keeps_its_cause(flyte: FakeFlyte, client: Any):
    flyte.add("lost", "ABORTING", minutes=5)
    flyte.rows["lost"]["closure"]["abort_metadata"] = {"cause": "a typo in the input"}

    list(end_all_stuck(Workflows(), client, [PLACE]))

    assert flyte.rows["lost"]["closure"]["phase"] == "ABORTED"
    assert flyte.rows["lost"]["closure"]["abort_metadata"] == {"cause": "a typo in the input"}


def test_an_execution_that_has_ended_in_the_meantime_is_left_as_it_is(flyte: FakeFlyte, client: Any):
    flyte.add("quick", "SUCCEEDED", minutes=5)

    end_stuck(Workflows(), client, Stuck(PLACE, "quick", "RUNNING", workflow=False))

    assert flyte.rows["quick"]["closure"]["phase"] == "SUCCEEDED"


def test_an_orphaned_workflow_is_deleted_with_its_pods_although_finalizers_hold_them(client: Any):
    old = f"{ago(minutes=5)}\t"
    cluster = Workflows(objects={"orphan": old}, pods={"orphan-n0-0", "other-n0-0"})

    list(end_all_stuck(cluster, client, [PLACE]))

    assert cluster.objects == {}
    assert cluster.pods == {"other-n0-0"}


def test_a_cluster_that_does_not_answer_is_an_error_and_ends_nothing(flyte: FakeFlyte, client: Any):
    flyte.add("fine", "RUNNING", minutes=5)
    cluster = FakeCluster()
    cluster.on("get flyteworkflows.flyte.lyft.com", error="connection refused")

    with pytest.raises(FlyteError, match="FlyteWorkflows in remedy-development cannot be listed: connection refused"):
        list(end_all_stuck(cluster, client, [PLACE]))
    assert flyte.rows["fine"]["closure"]["phase"] == "RUNNING"


def test_the_places_are_those_of_flyte_and_not_only_those_of_the_settings(client: Any):
    found = places(client, examined(projects=[{"name": "other"}], tidalCreds=None).settings)

    assert found == [PLACE]


def test_the_doctor_names_stuck_executions_and_the_command_that_ends_them(flyte: FakeFlyte, client: Any):
    stack = examined(Workflows())
    stack.client = client
    assert [(one.state, one.says) for one in check_stuck(stack)] == [("ok", "none is stuck")]

    for number in range(5):
        flyte.add(f"lost{number}", "RUNNING", minutes=5)
    (said,) = check_stuck(stack)

    assert said.state == "remark"
    assert said.says.startswith("5 will never end by themselves: remedy/development/lost0 (RUNNING) no longer runs")
    assert said.says.endswith("and 2 more")
    assert said.remedy == "make abort-stuck STACK=dev"


def test_the_doctor_does_not_call_it_fine_if_flyte_does_not_answer():
    stack = examined(Workflows())
    stack.client = replace(stack.client, http="http://127.0.0.1:1")

    (said,) = check_stuck(stack)

    assert (said.state, "nothing listens there" in said.says) == ("wrong", True)

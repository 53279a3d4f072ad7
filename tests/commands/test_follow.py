"""The output of the follower of an execution, with a fake client of Flyte."""

import datetime
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ops.lib import __file__ as ops_folder


class Phases:
    """As flytekit has them: numbers, and a function that names them."""

    UNDEFINED, SUCCEEDED, FAILED, ABORTED, TIMED_OUT, RUNNING = range(6)

    @classmethod
    def enum_to_string(cls, number: int) -> str:
        return ["UNDEFINED", "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT", "RUNNING"][number]


@pytest.fixture
def follower(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program, with modules in the place of flytekit's, which is not installed here."""
    names = {
        "flytekit": {},
        "flytekit.configuration": {"Config": None},
        "flytekit.models": {},
        "flytekit.models.core": {},
        "flytekit.models.core.execution": {"NodeExecutionPhase": Phases, "WorkflowExecutionPhase": Phases},
        "flytekit.models.core.identifier": {"WorkflowExecutionIdentifier": tuple},
        "flytekit.remote": {"FlyteRemote": None},
    }
    for name, content in names.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("follow", Path(ops_folder).with_name("follow.py"))
    assert spec
    assert spec.loader
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    monkeypatch.setattr(program, "_PERIOD", 0)
    return program


def node(name: str, phase: int, seconds: int = 0, started: int = 0) -> Any:
    at = datetime.datetime.fromtimestamp(started, datetime.UTC)
    closure = SimpleNamespace(phase=phase, started_at=at, duration=datetime.timedelta(seconds=seconds), error=None)
    return SimpleNamespace(id=SimpleNamespace(node_id=name), closure=closure)


class Client:
    """Flyte's API at several times, one after the other."""

    def __init__(self, *times: tuple[int, list[Any]], error: str = "") -> None:
        self.times, self.now = list(times), (0, [])
        self.error = SimpleNamespace(message=error) if error else None

    def get_execution(self, _identifier: Any) -> Any:
        self.now = self.times.pop(0)
        closure = SimpleNamespace(phase=self.now[0], error=self.error)
        return SimpleNamespace(closure=closure, spec=SimpleNamespace(launch_plan="plan"))

    def get_launch_plan(self, _identifier: Any) -> Any:
        return SimpleNamespace(spec=SimpleNamespace(workflow_id="workflow"))

    def get_workflow(self, _identifier: Any) -> Any:
        nodes = [
            SimpleNamespace(id="start-node", metadata=None),
            SimpleNamespace(id="n0", metadata=SimpleNamespace(name="find_gaps")),
        ]
        template = SimpleNamespace(nodes=nodes)
        compiled = SimpleNamespace(primary=SimpleNamespace(template=template))
        return SimpleNamespace(closure=SimpleNamespace(compiled_workflow=compiled))

    def list_node_executions(self, _identifier: Any, limit: int) -> Any:
        return self.now[1], ""

    def get_execution_data(self, _identifier: Any) -> Any:
        def scalar(**kind: Any) -> Any:
            return SimpleNamespace(scalar=SimpleNamespace(**{"primitive": None, "blob": None, **kind}))

        literals = {
            "o0": scalar(primitive=SimpleNamespace(value="two of three")),
            "o1": scalar(blob=SimpleNamespace(uri="s3://remedy-development/report")),
            "o2": SimpleNamespace(scalar=None),
        }
        return SimpleNamespace(full_outputs=SimpleNamespace(literals=literals))


def test_every_change_of_a_node_is_a_line_and_the_last_has_the_outputs(follower: Any):
    client = Client(
        (Phases.RUNNING, [node("start-node", Phases.SUCCEEDED), node("n0", Phases.RUNNING, started=100)]),
        (Phases.RUNNING, [node("n0", Phases.RUNNING, started=100)]),
        (Phases.SUCCEEDED, [node("n0", Phases.SUCCEEDED, 4, 100), node("n1", Phases.SUCCEEDED, 1, 104)]),
    )

    *lines, last = follower.follow(client, "execution")

    assert [(line["id"], line["node"], line["phase"], line["seconds"]) for line in lines] == [
        ("n0", "find_gaps", "RUNNING", 0),
        ("n0", "find_gaps", "SUCCEEDED", 4),
        ("n1", "n1", "SUCCEEDED", 1),
    ]
    assert lines[0]["started"] == 100
    assert last == {
        "phase": "SUCCEEDED",
        "error": "",
        "outputs": {"o0": "two of three", "o1": "s3://remedy-development/report", "o2": "(see the console)"},
    }


def test_the_last_line_of_a_failed_execution_has_the_error(follower: Any):
    *_, last = follower.follow(Client((Phases.FAILED, [node("n0", Phases.FAILED)]), error="they are gone"), "execution")

    assert last == {"phase": "FAILED", "error": "they are gone", "outputs": {}}


def test_a_node_that_has_not_started_has_no_start_time(follower: Any):
    line, _ = follower.follow(Client((Phases.ABORTED, [node("n0", Phases.UNDEFINED)])), "execution")

    assert (line["started"], line["seconds"]) == (None, 0)

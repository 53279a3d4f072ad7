"""`make bench` and `make load`: statistics, tables, what is read from Kubernetes and Flyte, and a load."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import __main__ as command
from bench import executions, life, load, node, program
from bench.executions import Flows
from bench.figures import figure, percentile, shown
from bench.plot import plot
from bench.report import Table, publish
from bench.settings import further_settings
from ops.lib.client import Client
from ops.lib.kubectl import Cluster
from paths import ROOT
from settings.errors import SettingsError

CLUSTER = Cluster("home", "/kubeconfig")
CLIENT = Client("http://127.0.0.1:8088", "127.0.0.1:8089", "http://127.0.0.1:9000", True)


def test_a_figure_has_the_median_the_95th_percentile_and_the_spread():
    found = figure([float(number) for number in range(1, 101)])

    assert (found.median, found.p95, found.spread, found.count) == (50.5, 95, "1.00 to 100", 100)


def test_the_95th_percentile_of_few_values_is_the_largest():
    assert percentile([3, 1, 2], 95) == 3
    assert percentile([3, 1, 2], 50) == 2


def test_nothing_cannot_be_summed_up():
    with pytest.raises(ValueError, match="nothing to sum up"):
        figure([])


@pytest.mark.parametrize(("value", "text"), [(0.123, "0.12"), (12.34, "12.3"), (123.4, "123")])
def test_numbers_have_three_significant_digits(value: float, text: str):
    assert shown(value) == text


def test_a_table_is_written_between_its_markers_and_nothing_else_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    page = tmp_path / "page.md"
    page.write_text("# Before\n<!-- times:begin -->\nold\n<!-- times:end -->\nafter\n")

    publish(Table("times", ("what", "time"), [["up", "3 s"]], "make bench PARTS=life"), page)

    text = page.read_text()
    assert text.startswith("# Before\n<!-- times:begin -->\n| what | time |\n| --- | --- |\n| up | 3 s |\n")
    assert text.endswith("<!-- times:end -->\nafter\n")
    assert "old" not in text
    assert "`make bench PARTS=life`; " in text
    assert "load average" in text
    assert "| up | 3 s |" in capsys.readouterr().out


def test_a_table_without_markers_in_the_page_is_an_error(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("nothing\n")

    with pytest.raises(ValueError, match="times:begin"):
        publish(Table("times", ("what",), [], "make bench"), page)


def test_every_table_of_the_bench_has_its_place_in_the_page():
    text = Path("docs/performance.md").read_text()

    for name in ("program", "life", "idle", "workflows", "parts", "closure"):
        assert f"<!-- {name}:begin -->" in text


def test_times_are_read_with_and_without_a_fraction():
    assert life.seconds("1970-01-01T00:01:00Z") == 60
    assert life.seconds("1970-01-01T00:01:00.250000123Z") == pytest.approx(60.25)


def at(second: int) -> str:
    return f"1970-01-01T00:00:{second:02}Z"


def pod(name: str, app: str, created: int, ready: int) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": app}, "creationTimestamp": at(created)},
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": at(ready)}]},
    }


def test_milestones_are_in_their_order_and_counted_from_the_begin():
    job = {"kind": "Job", "metadata": {"name": "raw-outputs-1a2b"}, "status": {"completionTime": at(30)}}
    objects = [job, pod("flyte-binary-1", "flyte-binary", 15, 22), pod("postgres-0", "postgres", 12, 14)]

    assert list(life.milestones(objects, begin=10).items()) == [
        ("first pod created", 2),
        ("database ready", 4),
        ("Flyte's pod created", 5),
        ("Flyte ready", 12),
        ("Job raw-outputs ended", 20),
    ]


def test_a_cluster_that_has_a_flyte_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Cluster, "ask", lambda *_: "customresourcedefinition/flyteworkflows.flyte.lyft.com\n")

    with pytest.raises(SettingsError, match="already has a Flyte"):
        life.check_free(CLUSTER)


def task_pod(node_id: str, created: int, started: int, ended: int, name: str = "b1-n0-0") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"node-id": node_id}, "creationTimestamp": at(created)},
        "status": {
            "containerStatuses": [{"state": {"terminated": {"startedAt": at(started), "finishedAt": at(ended)}}}]
        },
    }


def test_the_time_of_a_task_is_divided_into_its_parts():
    found = [task_pod("n0", 1, 2, 5), task_pod("n1", 7, 8, 12)]

    times = executions.parts(found, {"n0": 0.5, "n1": 6.0}, [4.25, 11.0])

    assert times == {
        "queue": [0.5, 1.0],
        "pod start": [1, 1],
        "flytekit's start": [2.25, 3.0],
        "upload and end": [0.75, 1.0],
        "way to the next node": [2],
    }


def test_a_pod_without_a_result_is_an_error_instead_of_a_wrong_figure():
    with pytest.raises(ValueError, match="zip"):
        executions.parts([task_pod("n0", 1, 2, 5)], {}, [])


def test_the_pods_of_a_map_are_in_the_order_of_its_items(monkeypatch: pytest.MonkeyPatch):
    listed = [task_pod("n0", 1, 2, 3, f"b1-n0-0-{number}") for number in (10, 2, 0)]
    monkeypatch.setattr(Cluster, "ask", lambda *_: json.dumps({"items": listed}))

    assert [one["metadata"]["name"] for one in executions.pods(CLUSTER, "b1")] == [
        "b1-n0-0-0",
        "b1-n0-0-2",
        "b1-n0-0-10",
    ]


def test_numbers_are_found_at_any_depth_of_a_literal():
    one = {"scalar": {"primitive": {"float_value": 1.5}}}

    assert executions.floats({"collection": {"literals": [one, {"collection": {"literals": [one]}}]}}) == [1.5, 1.5]
    assert executions.floats({"scalar": {"primitive": {"string_value": "text"}}}) == []


def test_an_execution_that_fails_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Flows, "closure", lambda *_: {"phase": "FAILED", "error": "no space"})

    with pytest.raises(SettingsError, match=r"b1 is FAILED .*no space"):
        Flows(CLIENT, "v1").wait("b1", 1)


def test_the_inputs_of_a_workflow_are_sent_as_flytes_literals(monkeypatch: pytest.MonkeyPatch):
    sent: list[Any] = []
    monkeypatch.setattr(executions, "ask", lambda _client, *request: sent.append(request) or {})

    name = Flows(CLIENT, "v1").start("many", [7])

    (method, path, body) = sent[0]
    assert (method, path, body["name"]) == ("POST", "/api/v1/executions", name)
    assert body["spec"]["launch_plan"]["name"] == "flows.many"
    assert body["inputs"]["literals"]["numbers"]["collection"]["literals"] == [
        {"scalar": {"primitive": {"integer": "7"}}}
    ]


SUMMARY = {
    "node": {"systemContainers": [{"name": "kubelet", "cpu": {"usageCoreNanoSeconds": 9e9}},
                                  {"name": "pods", "cpu": {"usageCoreNanoSeconds": 3e9}}]},
    "pods": [
        {"podRef": {"name": "minio-0", "namespace": "flyte"}, "memory": {"workingSetBytes": 2**20},
         "cpu": {"usageCoreNanoSeconds": 2e9}},
        {"podRef": {"name": "starting", "namespace": "flyte"}},
        {"podRef": {"name": "other", "namespace": "default"}, "memory": {"workingSetBytes": 2**30}},
    ],
}  # fmt: skip


def test_the_use_of_pods_is_read_from_the_kubelet():
    found = node.uses([SUMMARY], "flyte")

    assert found == {"minio-0": node.Use(1, 2), "starting": node.Use(0, 0)}
    assert node.pods_cpu([SUMMARY]) == 3


def test_requests_of_all_kinds_are_added_up():
    metrics = (
        'apiserver_request_total{verb="GET"} 3\napiserver_request_total{verb="PUT"} 1e+01\nother_total{a="b"} 99\n'
    )

    assert node.api_requests(metrics) == 13


def test_a_failed_command_says_which_and_why(tmp_path: Path):
    from bench.timed import timed

    with pytest.raises(SettingsError, match=r"sh -c echo why; exit 3:\nwhy"):
        timed(["sh", "-c", "echo why; exit 3"], tmp_path, {"PATH": "/bin:/usr/bin"})


def test_the_cpu_time_of_a_command_includes_its_children(tmp_path: Path):
    from bench.timed import timed

    busy = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(3_000_000))'])"
    found = timed(["python3", "-c", busy], tmp_path, {"PATH": "/bin:/usr/bin:/usr/local/bin"})

    assert found.cpu > 0.03
    assert found.wall >= 0.03


def test_the_stack_that_is_measured_is_pinned_and_takes_further_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Cluster, "ask", lambda *_: "uid-1")

    config = program.stack_file(CLUSTER, ["a"], {"preset": "tiny"})

    assert config["flyte-home:clusterUid"] == "uid-1"
    assert config["flyte-home:preset"] == "tiny"
    assert config["flyte-home:projects"] == [{"name": "a", "taskSecrets": ["tidal-creds"]}]
    assert program.resources(config) > 90


def test_an_unknown_part_is_rejected_with_those_that_exist():
    assert command.chosen("life, idle") == ["life", "idle"]
    with pytest.raises(SettingsError, match=r"no part 'lif'; write some of program, life, idle, workflows, closure"):
        command.chosen("lif")


def test_a_file_of_settings_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "good.yaml").write_text("preset: tiny\n")

    assert further_settings(str(tmp_path / "good.yaml")) == {"preset": "tiny"}
    assert further_settings("") == {}
    with pytest.raises(SettingsError, match=r"SETTINGS: '.*missing.yaml' cannot be read"):
        further_settings(str(tmp_path / "missing.yaml"))


def execution(phase: str, duration: str = "2s") -> dict[str, Any]:
    return {"closure": {"phase": phase, "duration": duration}}


def test_a_load_starts_as_many_as_its_rate_says_and_waits_for_the_last(monkeypatch: pytest.MonkeyPatch):
    started: list[str] = []

    def start(_flows: Flows, name: str) -> str:
        started.append(name)
        if len(started) == 3:
            raise SettingsError("refused")
        return f"b{len(started)}"

    monkeypatch.setattr(Flows, "start", start)
    monkeypatch.setattr(load, "_PERIOD", 0.05)
    monkeypatch.setattr(load, "listed", lambda _: [execution("SUCCEEDED", f"{n}.5s") for n in range(len(started) - 1)])
    monkeypatch.setattr(load, "summaries", lambda _: [SUMMARY])
    monkeypatch.setattr(load, "database_bytes", lambda _: 2**20)

    found = load.run(Flows(CLIENT, "v1"), CLUSTER, "one", rate=600, length=0.5)

    assert started == ["one"] * 5
    assert (found.started, found.ended, found.failed, found.refused) == (4, 4, 0, 1)
    assert found.samples[-1][1:] == (4, 4)
    lines = load.summary(found)
    assert lines[0] == "4 started, 4 ended, 0 failed, 1 refused"
    assert lines[1] == "from start to end: p50 1.50 s, p90 3.50 s, p95 3.50 s, p99 3.50 s, 0.50 to 3.50 s"
    assert "minio 1.00 to 1.00" in lines[3]
    assert ElementTree.fromstring(load.picture(found, "one"))  # noqa: S314 (written here)


def test_a_failed_execution_is_counted_and_its_time_is_not():
    found = load.Load(executions=[execution("SUCCEEDED"), execution("FAILED", "9s"), execution("RUNNING")])

    assert (found.ended, found.failed, found.times) == (2, 1, [2])


def test_all_pages_of_executions_are_read(monkeypatch: pytest.MonkeyPatch):
    answers = [{"executions": [execution("RUNNING")], "token": "1"}, {"executions": [execution("FAILED")]}]
    monkeypatch.setattr(load, "ask", lambda *_: answers.pop(0))

    assert [one["closure"]["phase"] for one in load.listed(Flows(CLIENT, "v1"))] == ["RUNNING", "FAILED"]


def test_a_plot_is_xml_with_a_line_for_each_series():
    root = ElementTree.fromstring(plot("a < b", "seconds", {"one": [(0, 0), (10, 5)], "two": [(0, 1)]}))  # noqa: S314

    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert lines[0].get("points") == "56.0,304.0 664.0,56.0"
    assert len(lines) == 2
    assert "a < b" in [text.text for text in root.findall("{http://www.w3.org/2000/svg}text")]


def test_a_plot_without_points_is_an_error():
    with pytest.raises(ValueError, match="lines with points"):
        plot("empty", "seconds", {"one": []})


def test_a_measurement_that_is_ended_leaves_its_contexts():
    program = (
        "import contextlib, os, signal\n"
        "from bench.ending import end_in_order\n"
        "end_in_order()\n"
        "with contextlib.ExitStack() as opened:\n"
        "    opened.callback(print, 'destroyed')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (ended.stdout, ended.returncode) == ("destroyed\n", 143)

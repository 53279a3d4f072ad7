"""``make smoke``: runs the doctor, then the example, and shows its progress and its result or its failure."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import smoke
from ops.doctor.check import Finding
from ops.lib import example_workflow
from ops.lib.example_workflow import ExampleError
from ops.lib.progress import Progress
from tests.conftest import stack
from tests.kubectl import AUTH, FakeCluster, settings, with_login

DONE = {"phase": "SUCCEEDED", "error": "", "outputs": {"o0": "1 of 2 vanished tracks can be replaced"}}


def node(name: str, phase: str, seconds: float = 0, started: float | None = None) -> dict[str, Any]:
    return {"id": name, "node": f"task_{name}", "phase": phase, "started": started, "seconds": seconds, "error": ""}


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an example whose pyflyte and Python are scripts that a test writes."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    monkeypatch.setattr(example_workflow, "EXAMPLE", tmp_path)
    program(tmp_path, "pyflyte", f'echo "$@" >{tmp_path}/started; cat "$FLYTECTL_CONFIG" >{tmp_path}/config')
    return tmp_path


def program(example: Path, name: str, script: str) -> None:
    path = example / ".venv" / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)


def following(example: Path, *lines: dict[str, Any], then: str = "") -> None:
    """What the follower prints, and then does."""
    (example / "lines").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    program(example, "python", f'echo "$@" >{example}/followed; cat {example}/lines\n{then}')


def ran(timeout: float = 20, cluster: FakeCluster | None = None, **changed: Any) -> str:
    out = io.StringIO()
    smoke.run_example(settings(**changed), cluster or FakeCluster(), timeout, out)
    return out.getvalue()


def test_the_example_runs_in_the_first_project_that_may_use_its_secret_and_the_first_domain(example: Path):
    following(example, DONE)
    projects = [{"name": "other"}, {"name": "remedy", "taskSecrets": ["tidal-creds"]}]

    said = ran(projects=projects, domains=["d-dev", "p-dev"])

    started = (example / "started").read_text()
    assert started.startswith("run --remote --project remedy --domain d-dev --name smoke-")
    assert started.endswith(" workflow.py remedy\n")
    name = started.split("--name ")[1].split()[0]
    assert (example / "followed").read_text().endswith(f"follow.py remedy d-dev {name}\n")
    assert "dns:///127.0.0.1:8089" in (example / "config").read_text()
    assert f"http://127.0.0.1:8088/console/projects/remedy/domains/d-dev/executions/{name}" in said


def test_with_a_login_the_example_runs_as_flytes_own_client_with_its_secret_in_a_private_file(
    example: Path,
):
    following(example, DONE)
    script = (
        f'cat "$FLYTECTL_CONFIG" >{example}/config; '
        f'ls -l "$(dirname "$FLYTECTL_CONFIG")" >{example}/files; echo "$@" >{example}/started'
    )
    program(example, "pyflyte", script)

    ran(cluster=with_login("planted-client-secret"), auth=AUTH, oidcClientSecret="planted-oidc-secret")

    config = yaml.safe_load((example / "config").read_text())["admin"]
    assert (config["authType"], config["clientId"]) == ("ClientSecret", "flytepropeller")
    (secret,) = [line for line in (example / "files").read_text().splitlines() if line.endswith(".secret")]
    assert secret.startswith("-rw-------")
    assert not Path(config["clientSecretLocation"]).exists()
    assert "planted" not in (example / "config").read_text() + (example / "started").read_text()


def test_without_a_terminal_every_change_is_a_line_and_the_result_comes_last(example: Path):
    following(example, node("n0", "RUNNING"), node("n0", "SUCCEEDED", 4.2), node("n1", "SUCCEEDED", 2.6), DONE)

    said = [line.split() for line in ran().splitlines()]

    assert said[1:4] == [["task_n0", "RUNNING"], ["task_n0", "SUCCEEDED", "4", "s"], ["task_n1", "SUCCEEDED", "3", "s"]]
    assert " ".join(said[4]) == "result o0: 1 of 2 vanished tracks can be replaced"
    assert said[5][:5] == ["ok", "the", "example", "in", "remedy-development,"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_nodes_are_redrawn_in_place():
    out = Terminal()
    progress = Progress(out)

    progress.update(node("n0", "RUNNING", started=1.0))
    progress.update(node("n1", "QUEUED"))
    progress.draw()

    first, second, third = out.getvalue().split("\x1b[J")
    assert "task_n0" in first
    assert first.endswith("\x1b[1F")  # over the one line that there was
    assert second.endswith("\x1b[2F")
    assert third.splitlines()[1].split() == ["task_n1", "QUEUED"]


def test_a_failed_workflow_shows_its_error_and_the_end_of_the_failed_nodes_log(example: Path):
    failed = {"phase": "FAILED", "error": "RuntimeError: they are gone", "outputs": {}}
    following(example, node("n0", "SUCCEEDED", 3), node("n1", "FAILED", 2), failed)
    cluster = FakeCluster()

    def pod(name: str, node: str, at: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "labels": {"node-id": node}, "creationTimestamp": at}}

    pods = [pod("x-n1-1", "n1", "2"), pod("x-n1-0", "n1", "1"), pod("x-n0-0", "n0", "0"), pod("x-n10-0", "n10", "0")]
    cluster.on("get pods", {"items": pods})
    cluster.on("logs x-n1-1 --tail=40", "looking for the playlists\n")

    with pytest.raises(ExampleError) as error:
        ran(cluster=cluster)

    said = str(error.value)
    assert said.startswith("the workflow has failed; http://127.0.0.1:8088/console/projects/remedy")
    assert "RuntimeError: they are gone\n--- the end of the log of x-n1-1\nlooking for the playlists\n" in said
    assert said.endswith("kubectl --kubeconfig kubeconfig --context home logs x-n1-1 --namespace remedy-development")
    assert "x-n0-0" not in said
    assert "x-n10-0" not in said


def test_a_workflow_that_does_not_end_fails_and_shows_why_its_pods_do_not_start(
    example: Path, monkeypatch: pytest.MonkeyPatch
):
    following(example, node("n0", "RUNNING"), then="exec sleep 30")
    monkeypatch.setattr(smoke.secrets, "token_hex", lambda _: "1")
    cluster = FakeCluster()

    def event(pod: str, message: str) -> dict[str, Any]:
        return {"involvedObject": {"name": pod}, "reason": "Failed", "message": message, "lastTimestamp": message}

    events = [
        event("smoke-1-n0-0", "2: no such image"),
        event("smoke-1-n0-0", "1"),
        event("smoke-10-n0-0", "another's"),
    ]
    cluster.on("get events --namespace=remedy-development", {"items": events})

    with pytest.raises(ExampleError) as error:
        ran(timeout=1.4, cluster=cluster)

    first, *pods = str(error.value).splitlines()
    assert "did not finish within 1 s; see http://127.0.0.1:8088/console" in first
    assert pods == ["smoke-1-n0-0: Failed: 1", "smoke-1-n0-0: Failed: 2: no such image"]


def test_the_message_quotes_a_follower_that_fails(example: Path):
    following(example, then="echo no login >&2; exit 1")

    with pytest.raises(ExampleError, match=r"cannot be followed; see http.*\nno login"):
        ran()


def test_the_message_quotes_flytes_client_if_the_example_cannot_be_started(example: Path):
    program(example, "pyflyte", "echo the project is archived >&2; exit 1")

    with pytest.raises(ExampleError, match="could not be started:\nthe project is archived"):
        ran()


def test_a_registration_that_does_not_end_fails(example: Path):
    program(example, "pyflyte", "exec sleep 30")

    with pytest.raises(ExampleError, match="could not be registered within 1 s"):
        ran(timeout=1)


def test_without_flytes_client_the_message_names_the_target_that_installs_it(example: Path):
    (example / ".venv/bin/pyflyte").unlink()

    with pytest.raises(ExampleError, match="make smoke installs it"):
        ran()


def test_the_example_is_not_started_if_no_project_may_use_its_secret(example: Path):
    with pytest.raises(ExampleError, match="no project asks for the secret tidal-creds"):
        ran(projects=[{"name": "remedy"}], tidalCreds=None)
    assert not (example / "started").exists()


@pytest.mark.parametrize(
    ("check", "state", "code"),
    [
        ("minio", "ok", 0),
        ("minio", "remark", 0),
        ("minio", "skipped", 0),
        ("minio", "wrong", 1),
        ("isolation", "wrong", 0),
    ],
)
def test_the_example_is_started_only_if_the_doctor_finds_nothing_wrong_that_would_stop_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], check: str, state: Any, code: int
):
    started = []

    @contextmanager
    def doctor(*_args: Any) -> Iterator[Iterator[Finding]]:
        yield iter([Finding(check, state, "is what it is", "kubectl mend")])

    monkeypatch.setattr(smoke, "doctor", doctor)
    monkeypatch.setattr(smoke, "stack_config", lambda _: stack())
    monkeypatch.setattr(smoke, "run_example", lambda *_: started.append(True))
    monkeypatch.setattr(smoke.Cluster, "of", lambda *_: FakeCluster())
    monkeypatch.setattr(sys, "argv", ["smoke", "dev"])

    assert smoke.main() == code
    said = capsys.readouterr()
    assert f"{state:<8} {check:<14} is what it is\n         kubectl mend" in said.out
    assert ("ok      everything except the isolation (1 wrong)" in said.out) == (check == "isolation")
    assert started == ([] if code else [True])
    assert ("1 of the doctor's findings are wrong" in said.err) == bool(code)


def test_a_client_of_flyte_without_its_interpreter_is_reported(example: Path):
    (example / ".venv/bin/pyflyte").write_text("#!/nowhere/python\n")

    with pytest.raises(ExampleError, match=r"pyflyte: No such file or directory; make smoke installs it"):
        ran()

"""``make smoke``: what is wrong is named, in the order in which a person would look for it."""

import http.server
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from ops import smoke
from ops.cluster import Cluster
from settings import Settings
from tests.conftest import UID, stack
from tests.processes import free_port, serving

CLUSTER = Cluster("home", "kubeconfig")


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what a kubectl of our own answers: one file for each object; without a file, it fails."""
    program = tmp_path / "kubectl"
    program.write_text(
        '#!/bin/sh\nfor last in "$@"; do case $last in get|-*) ;; kubeconfig|home|namespace) ;; '
        f'*) exec cat "{tmp_path}/$(echo "$last" | tr / _)";; esac; done\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def answering(answers: Mapping[str, Any]) -> AbstractContextManager[str]:
    """A server on loopback that has these answers, by path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.split("?")[0])
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_args: Any) -> None:
            pass

    return serving(Handler)


def loaded(**settings: Any) -> Settings:
    return Settings.from_config(*stack(**settings))


def test_another_cluster_is_refused_with_both_identities(kubectl: Path):
    (kubectl / "kube-system").write_text("another-uid")

    with pytest.raises(smoke.SmokeError, match=f"{UID}.*'home'.*another-uid"):
        smoke.check_fence(CLUSTER, loaded(), "dev")


def test_the_pinned_cluster_passes(kubectl: Path):
    (kubectl / "kube-system").write_text(UID)

    smoke.check_fence(CLUSTER, loaded(), "dev")


def test_a_server_that_is_not_ready_is_named_with_its_last_warnings_and_where_to_look(kubectl: Path):
    (kubectl / "statefulset_minio").write_text('{"status": {"readyReplicas": 1}}')
    (kubectl / "statefulset_postgres").write_text('{"status": {}}')
    events = [
        {"type": kind, "reason": reason, "message": f"says {name}", "involvedObject": {"name": name}}
        for kind, reason, name in (
            ("Warning", "Unhealthy", "postgres-0"),
            ("Normal", "Pulled", "postgres-0"),
            ("Warning", "BackOff", "minio-0"),
        )
    ]
    (kubectl / "events").write_text(json.dumps({"items": events}))

    with pytest.raises(smoke.SmokeError) as failed:
        smoke.check_servers(CLUSTER, "flyte")

    assert str(failed.value) == (
        "statefulset/postgres is not ready; Unhealthy: says postgres-0; "
        "kubectl --context home --namespace flyte describe statefulset/postgres"
    )


def test_a_server_that_is_not_there_is_named(kubectl: Path):
    (kubectl / "statefulset_minio").write_text("")

    with pytest.raises(smoke.SmokeError, match="statefulset/minio is not in the namespace flyte"):
        smoke.check_servers(CLUSTER, "flyte")


def test_a_project_that_flyte_does_not_know_is_named():
    with (
        answering({"/api/v1/projects": {"projects": [{"id": "remedy"}]}}) as address,
        pytest.raises(smoke.SmokeError, match="does not know the project other;"),
    ):
        smoke.check_flyte(address, ["remedy", "other"])


def test_whoever_else_answers_at_the_address_is_not_taken_for_flyte_or_the_store():
    with answering({}) as address:
        with pytest.raises(smoke.SmokeError, match=f"Flyte's API does not answer at {address}"):
            smoke.check_flyte(address, ["remedy"])
        with pytest.raises(smoke.SmokeError, match=f"the object store does not answer at {address}"):
            smoke.check_store(address)


def test_an_address_that_is_not_this_machines_needs_no_port_forward(kubectl: Path):
    with smoke.forwarded(CLUSTER, "flyte", "minio", 9000, "https://s3.home.example"):
        pass


def test_a_way_that_is_open_already_is_used(kubectl: Path):
    with answering({}) as address, smoke.forwarded(CLUSTER, "flyte", "minio", 9000, address):
        pass


def test_a_port_forward_that_fails_says_why(kubectl: Path):
    with (
        pytest.raises(smoke.SmokeError, match="no way to service/minio: cat: "),
        smoke.forwarded(CLUSTER, "flyte", "minio", 9000, f"http://127.0.0.1:{free_port()}"),
    ):
        pass


def test_without_a_project_that_may_use_the_secret_the_example_is_not_started():
    with pytest.raises(smoke.SmokeError, match="none asks for the secret tidal-creds"):
        smoke.run_example(loaded(projects=[{"name": "remedy"}], tidalCreds=None), 1)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An example whose pyflyte is a script that a test writes."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    monkeypatch.setattr(smoke, "EXAMPLE", tmp_path)
    return tmp_path / ".venv" / "bin" / "pyflyte"


def test_the_example_runs_remotely_in_the_first_project_that_may_and_its_first_domain(example: Path, tmp_path: Path):
    example.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/called\ncat "$2" >{tmp_path}/config\n')
    example.chmod(0o700)
    projects = [{"name": "other"}, {"name": "remedy", "taskSecrets": ["tidal-creds"]}]

    smoke.run_example(loaded(projects=projects, domains=["d-dev", "p-dev"]), 20)

    called = (tmp_path / "called").read_text()
    assert "run --remote --wait --project remedy --domain d-dev workflow.py remedy" in called
    assert "dns:///127.0.0.1:8089" in (tmp_path / "config").read_text()


@pytest.mark.parametrize(
    ("script", "said"), [("exit 1", "the workflow failed"), ("exec sleep 20", "has not finished within 1 s")]
)
def test_a_workflow_that_fails_or_does_not_end_is_a_failure(example: Path, script: str, said: str):
    example.write_text(f"#!/bin/sh\n{script}\n")
    example.chmod(0o700)

    with pytest.raises(smoke.SmokeError, match=said):
        smoke.run_example(loaded(), 1)


def test_without_the_client_of_flyte_the_message_says_how_it_is_installed(example: Path):
    with pytest.raises(smoke.SmokeError, match="make smoke installs it"):
        smoke.run_example(loaded(), 1)

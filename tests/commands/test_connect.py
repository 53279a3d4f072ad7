"""``make connect``: checks the ports first, then keeps the endpoints open until it is stopped."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from ops.lib.client import Client
from ops.lib.client_endpoints import client_endpoints
from tests.conftest import UID
from tests.kubectl import KubectlProgram, program_copy, settings
from tests.processes import free_port, wait_until


@pytest.fixture
def endpoints() -> dict[str, object]:
    return {
        "http": f"http://127.0.0.1:{free_port()}",
        "grpc": f"dns:///127.0.0.1:{free_port()}",
        "objectStore": f"http://127.0.0.1:{free_port()}",
    }


@contextmanager
def connect(folder: Path, endpoints: dict[str, object]) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """``make connect`` for a stack with these addresses, and the file with what it says."""
    program, log = program_copy(folder / "program", clientEndpoints=endpoints), folder / "said"
    command = [sys.executable, "-u", "-m", "ops.connect", "dev"]
    with log.open("w") as out, subprocess.Popen(command, cwd=program, stdout=out, stderr=out, text=True) as started:
        try:
            yield started, log
        finally:
            started.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_connect_opens_the_endpoints_prints_the_addresses_and_leaves_nothing_behind(
    tmp_path: Path, kubectl_program: KubectlProgram, endpoints: dict[str, object], how: signal.Signals
):
    kubectl_program.on("kube-system", UID)
    opened = client_endpoints(Client.of(settings(clientEndpoints=endpoints)))
    with connect(tmp_path, endpoints) as (started, log):
        wait_until(lambda: "Ctrl-C" in log.read_text() or started.poll() is not None, "make connect")
        said = log.read_text()
        assert f"console       {endpoints['http']}/console" in said
        assert f"object store  {endpoints['objectStore']}" in said
        config = tmp_path / "program" / ".client" / "dev.yaml"
        assert f"export FLYTECTL_CONFIG={config}" in said
        assert yaml.safe_load(config.read_text())["admin"] == {"endpoint": endpoints["grpc"], "insecure": True}
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert all(endpoint.listening for endpoint in opened)
        started.send_signal(how)
        assert started.wait(15) == 0
    assert log.read_text().splitlines()[-1] == "closed"
    assert not any(endpoint.listening for endpoint in opened)


def test_the_ports_are_checked_before_any_forward_is_opened(
    tmp_path: Path, kubectl_program: KubectlProgram, endpoints: dict[str, object]
):
    kubectl_program.on("kube-system", UID)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with connect(tmp_path, {**endpoints, "objectStore": f"http://127.0.0.1:{port}"}) as (started, log):
            assert started.wait(20) == 1

    assert f"clientEndpoints.objectStore: port {port} of this machine is taken" in log.read_text()
    assert not [call for call in kubectl_program.calls if "port-forward" in call]


def test_another_cluster_is_rejected(tmp_path: Path, kubectl_program: KubectlProgram, endpoints: dict[str, object]):
    kubectl_program.on("kube-system", "another")
    with connect(tmp_path, endpoints) as (started, log):
        assert started.wait(20) == 1

    assert f"belongs to the cluster {UID}, but 'home' leads to another" in log.read_text()
    assert not (tmp_path / "program" / ".client").exists()


def test_a_service_without_a_pod_is_reported_with_a_hint_at_the_doctor(
    tmp_path: Path, kubectl_program: KubectlProgram, endpoints: dict[str, object]
):
    kubectl_program.on("kube-system", UID)
    kubectl_program.mark("broken", "minio")
    with connect(tmp_path, endpoints) as (started, log):
        assert started.wait(20) == 1

    assert (
        "cannot reach service/minio: minio has no running pod; run make doctor STACK=dev for details" in log.read_text()
    )
    assert not any(endpoint.listening for endpoint in client_endpoints(Client.of(settings(clientEndpoints=endpoints))))


def test_endpoints_on_other_machines_need_only_the_client_configuration(
    tmp_path: Path, kubectl_program: KubectlProgram
):
    kubectl_program.on("kube-system", UID)
    elsewhere = {
        "http": "https://flyte.home",
        "grpc": "dns:///flyte.home:443",
        "objectStore": "https://s3.home",
        "insecure": False,
    }
    with connect(tmp_path, elsewhere) as (started, log):
        assert started.wait(20) == 0

    assert "https://flyte.home/console" in log.read_text()
    assert "Ctrl-C" not in log.read_text()
    assert (tmp_path / "program" / ".client" / "dev.yaml").exists()
    assert not [call for call in kubectl_program.calls if "port-forward" in call]


def test_a_broken_endpoint_is_reopened(tmp_path: Path, kubectl_program: KubectlProgram, endpoints: dict[str, object]):
    kubectl_program.on("kube-system", UID)
    with connect(tmp_path, endpoints) as (started, log):
        wait_until(lambda: "Ctrl-C" in log.read_text(), "make connect")
        pid = json.loads((tmp_path / "program" / ".client" / "dev.json").read_text())["forwards"]["minio"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: f"back    {endpoints['objectStore']}" in log.read_text(), "the way back")
        assert log.read_text().count(f"lost    {endpoints['objectStore']}") == 1
        started.terminate()
        assert started.wait(15) == 0

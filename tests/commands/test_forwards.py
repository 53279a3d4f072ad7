"""The port-forwards of a stack: no other process holds their ports, and a broken one is reopened."""

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.lib.client import Client
from ops.lib.client_endpoints import ClientEndpoint, client_endpoints
from ops.lib.forwards import Forward, Forwards
from ops.lib.hidden_place import BLOCKED_PORTS
from ops.lib.kept_forward import KeptForward
from ops.lib.kubectl import Cluster
from ops.lib.port_holder import ForwardError, check_free, holder_of
from ops.lib.private_file import write_private
from tests.kubectl import KubectlProgram
from tests.processes import free_port, wait_until

CLUSTER = Cluster("home", "kubeconfig")


def client(http: int = 0, grpc: int = 0, store: int = 0) -> Client:
    return Client(
        f"http://127.0.0.1:{http or free_port()}",
        f"dns:///127.0.0.1:{grpc or free_port()}",
        f"http://127.0.0.1:{store or free_port()}",
        True,
    )


def forwards(folder: Path, stack: str = "dev", of: Client | None = None) -> Forwards:
    return Forwards(f"make connect STACK={stack}", stack, "uid", CLUSTER, "flyte", of or client(), folder)


def alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_only_addresses_of_this_machine_without_tls_are_forwarded():
    addresses = Client("http://localhost:8088", "dns:///flyte.home:443", "https://127.0.0.1:9000", False)

    assert [(endpoint.setting, endpoint.forwarded) for endpoint in client_endpoints(addresses)] == [
        ("http", True),
        ("grpc", False),
        ("objectStore", False),
    ]
    assert ClientEndpoint("http", "http://localhost", "minio", 9000).local_port == 80
    assert ClientEndpoint("http", "http://[::1]:8088", "minio", 9000).host == "::1"


def test_a_taken_port_is_reported_with_its_setting_and_a_command_that_shows_the_process(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ForwardError) as failed:
            check_free("dev", client_endpoints(client(http=port)), tmp_path)

    assert f"clientEndpoints.http: port {port} of this machine is taken by something else" in failed.value.says
    assert f":{port}" in failed.value.remedy.splitlines()[0]
    assert f"pulumi config set --path flyte-home:clientEndpoints.http http://127.0.0.1:{port + 10000}" in str(
        failed.value
    )


def test_two_endpoints_with_the_same_port_are_rejected(tmp_path: Path):
    port = free_port()

    with pytest.raises(ForwardError, match=f"another endpoint has the port {port}, too"):
        check_free("dev", client_endpoints(client(http=port, store=port)), tmp_path)


def test_other_commands_see_which_process_holds_the_ports(tmp_path: Path, kubectl_program: KubectlProgram):
    with forwards(tmp_path) as opened:
        opened.check_free()
        for forward in opened.forwards:
            opened.open(forward)
        holder = holder_of("dev", tmp_path)
        assert holder
        assert (holder.command, holder.pid, holder.cluster) == ("make connect STACK=dev", os.getpid(), "uid")
        assert list(holder.ports) == [endpoint.local_port for endpoint in opened.endpoints]
        with pytest.raises(ForwardError, match=r"make connect STACK=dev \(process \d+\) already has the ports"):
            forwards(tmp_path).__enter__()
        with pytest.raises(ForwardError, match=r"taken by make connect STACK=dev \(process"):
            check_free("prod", opened.endpoints, tmp_path)

    assert holder_of("dev", tmp_path) is None
    check_free("dev", opened.endpoints, tmp_path)


def test_only_the_browser_guard_listens_where_browsers_can_reach_it(tmp_path: Path, kubectl_program: KubectlProgram):
    with forwards(tmp_path) as opened:
        for forward in opened.forwards:
            opened.open(forward)
        http, grpc, store = opened.forwards
        assert http.place[1] in BLOCKED_PORTS
        assert store.place[1] in BLOCKED_PORTS
        assert grpc.place == ("127.0.0.1", grpc.endpoint.local_port)
        for endpoint in (http.endpoint, store.endpoint):
            assert Client.request(client(), endpoint.address).body == str(endpoint.port).encode()
            foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
            assert Client.request(client(), endpoint.address, headers=foreign).status == 403

    assert not any(endpoint.listening for endpoint in opened.endpoints)


def test_the_browser_guard_keeps_the_port_while_its_forward_is_broken(tmp_path: Path, kubectl_program: KubectlProgram):
    with forwards(tmp_path) as opened:
        store = opened.forwards[2]
        opened.open(store)
        os.kill(store.pid, 9)
        wait_until(lambda: not store.running, "the end of kubectl")
        assert Client.request(client(), store.endpoint.address).status == 502
        opened.open(store)
        assert Client.request(client(), store.endpoint.address).status == 200


def test_a_service_without_a_pod_is_reported_with_kubectls_message(tmp_path: Path, kubectl_program: KubectlProgram):
    kubectl_program.mark("broken", "minio")

    with forwards(tmp_path) as opened:
        opened.open(opened.forwards[0])
        with pytest.raises(ForwardError, match="cannot reach service/minio: minio has no running pod"):
            opened.open(opened.forwards[2])
        assert opened.forwards[0].running


def test_another_process_at_the_port_is_not_mistaken_for_the_forward(tmp_path: Path, kubectl_program: KubectlProgram):
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        forwards(tmp_path, of=client(other.getsockname()[1])) as opened,
        pytest.raises(ForwardError, match="unable to listen on port"),
    ):
        opened.open(opened.forwards[0])


def test_the_next_command_ends_the_forwards_of_a_killed_one(tmp_path: Path, kubectl_program: KubectlProgram):
    addresses = client()
    script = f"""
import os, pathlib
from ops.lib.client import Client
from ops.lib.kubectl import Cluster
from ops.lib.forwards import Forwards
client = Client({addresses.http!r}, {addresses.grpc!r}, {addresses.object_store!r}, True)
folder = pathlib.Path({str(tmp_path)!r})
forwards = Forwards("make connect", "dev", "uid", Cluster("home", "x"), "flyte", client, folder)
forwards.__enter__()
for forward in forwards.forwards:
    forwards.open(forward)
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    left = json.loads((tmp_path / "dev.json").read_text())["forwards"].values()
    assert [alive(pid) for pid in left] == [True] * 3

    with forwards(tmp_path, of=addresses) as opened:
        opened.check_free()
        assert opened.ended == ["flyte-binary-http", "flyte-binary-grpc", "minio"]
    wait_until(lambda: not any(alive(pid) for pid in left), "the end of the port-forwards")


def test_a_process_that_reuses_the_id_of_a_forward_is_not_killed(tmp_path: Path):
    with subprocess.Popen(["sleep", "60"]) as bystander:
        record = {
            "command": "x",
            "pid": 1,
            "stack": "dev",
            "cluster": "uid",
            "ports": [],
            "forwards": {"minio": bystander.pid},
        }
        (tmp_path / "dev.json").write_text(json.dumps(record))
        with forwards(tmp_path) as opened:
            assert opened.ended == []
            assert bystander.poll() is None
        bystander.kill()


def test_only_the_owner_can_read_private_files(tmp_path: Path):
    folder = tmp_path / "client"

    write_private(folder / "dev.yaml", "first")
    write_private(folder / "dev.yaml", "second")

    assert (folder / "dev.yaml").read_text() == "second"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "dev.yaml").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["dev.yaml"]


def kept(forward: Forward, answers: Callable[[], bool]) -> tuple[KeptForward, list[str]]:
    said: list[str] = []
    return KeptForward(forward, lambda one: one.start(3), answers, said.append), said


def test_a_forward_that_ends_is_reopened_and_reported_once_as_lost_and_once_as_back(
    tmp_path: Path,
    kubectl_program: KubectlProgram,
):
    forward = Forward(CLUSTER, "flyte", client_endpoints(client())[0])
    forward.start()
    one, said = kept(forward, lambda: True)
    try:
        one.tend()
        os.kill(forward.pid, 9)
        wait_until(lambda: not forward.running, "the end of kubectl")
        kubectl_program.mark("broken", "flyte-binary-http")
        one.tend()
        one.tend()
        one.tend()
        assert len(said) == 1
        assert "kubectl has ended; trying again" in said[0]
        (kubectl_program.folder / "broken").unlink()
        wait_until(lambda: one.tend() or len(said) > 1, "the way back")
        assert forward.running
        assert said[1].startswith("back ")
        one.tend()
        assert len(said) == 2
    finally:
        forward.stop()


def test_a_forward_is_reopened_after_two_missing_answers(tmp_path: Path, kubectl_program: KubectlProgram):
    forward = Forward(CLUSTER, "flyte", client_endpoints(client())[0])
    forward.start()
    first = forward.pid
    answers = iter([False, True, False, False, False, True])
    one, said = kept(forward, lambda: next(answers))
    try:
        one.tend()  # one miss is none
        one.tend()
        one.tend()
        assert said == []
        one.tend()
        assert "the service does not answer; trying again" in said[0]
        one.tend()  # opens it, in vain
        wait_until(lambda: one.tend() or len(said) > 1, "the way back")
        assert forward.pid != first
    finally:
        forward.stop()


def test_the_pauses_between_attempts_grow_up_to_15_seconds():
    assert list(KeptForward.PAUSES) == sorted(KeptForward.PAUSES)
    assert KeptForward.PAUSES[-1] <= 15

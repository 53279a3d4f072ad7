"""The commands of the laptop on a broken stack: the doctor names each problem, and its command fixes the problem."""

import base64
import contextlib
import datetime
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tests.certificates import issued
from tests.engine.conftest import STACK, Cluster, Project
from tests.engine.deployed import UNENFORCED, Deployed, deployment, troubles
from tests.processes import free_port, wait_until

NAMESPACE = "remedy-development"
HOST = "flyte-webhook-1.flyte.svc"


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, new_project: Callable[[], Project]) -> Iterator[Deployed]:
    """A stack that all tests of this file share; it is destroyed after the last one."""
    with deployment(cluster, new_project) as found:
        yield found


def test_a_working_stack_is_reported_as_fine_within_30_seconds(deployed: Deployed):
    start = datetime.datetime.now(datetime.UTC)
    found = deployed.doctor()
    seconds = (datetime.datetime.now(datetime.UTC) - start).total_seconds()

    assert troubles(found) == []
    assert len(found) == 23
    assert seconds < 30


def test_a_port_of_another_process_is_not_used(deployed: Deployed):
    with socket.create_server(("127.0.0.1", deployed.ports["http"])):
        found = deployed.doctor()
        connected = deployed.make("connect")

    assert f"port {deployed.ports['http']} of this machine is taken by something else" in found["console"][0]["says"]
    assert found["API"][0]["state"] == "skipped"
    assert found["gRPC"][0]["state"] == "ok"
    assert connected.returncode == 1
    assert f"port {deployed.ports['http']} of this machine is taken" in connected.stderr
    deployed.healthy()


def test_another_cluster_behind_the_context_stops_every_check_that_would_use_it(deployed: Deployed):
    stack_file = deployed.project.folder / f"Pulumi.{STACK}.yaml"
    text = stack_file.read_text()
    stack_file.write_text(text.replace(deployed.cluster.uid, "00000000-0000-4000-8000-000000000000"))
    try:
        found = deployed.doctor()
    finally:
        stack_file.write_text(text)

    assert deployed.cluster.uid in found["cluster"][0]["says"]
    assert {name for name, findings in found.items() if findings[0]["state"] not in {"skipped", "wrong"}} == {
        "tools",
        "log links",
    }
    deployed.healthy()


def test_a_missing_admission_policy_is_reported(deployed: Deployed):
    deployed.kubectl("delete", "validatingadmissionpolicybinding", "flyte-home-task-pods")
    # The API server notices it a moment later.
    wait_until(lambda: deployed.doctor()["admission"][0]["state"] == "wrong", "the API server", 30)
    found = deployed.doctor()["admission"][0]

    assert "nothing limits the pods of tasks in remedy-development" in found["says"]
    deployed.fix(found)
    wait_until(lambda: deployed.doctor()["admission"][0]["state"] == "ok", "the API server", 30)
    deployed.healthy()


def test_what_pods_reach_is_what_the_settings_say_or_the_plugin_is_named(deployed: Deployed):
    found = deployed.doctor()["isolation"]
    judged = [one for one in found if one["state"] != "remark"]

    assert len(judged) == 1
    if judged[0]["state"] == "ok":
        assert "a pod of another namespace reaches DNS, the secrets webhook" in judged[0]["says"]
    else:
        assert judged[0]["says"].startswith(UNENFORCED)
        assert "a pod of another namespace reaches the database, the object store" in judged[0]["says"]
    wait_until(lambda: deployed.probes() == [], "the end of the probes", 60)


def test_a_missing_network_policy_is_named_and_recreated_by_the_command(deployed: Deployed):
    deployed.kubectl("delete", "networkpolicy", "default-deny", f"--namespace={NAMESPACE}")
    found = deployed.doctor()["isolation"]
    (missing,) = [one for one in found if "default-deny" in one["says"]]

    assert missing["says"].startswith(f"the network policy default-deny is missing in {NAMESPACE}")
    deployed.fix(missing)
    deployed.healthy()


def test_an_interrupted_doctor_deletes_its_pods(deployed: Deployed):
    wait_until(lambda: deployed.probes() == [], "the end of earlier probes", 60)
    command = [sys.executable, "-m", "ops.doctor", STACK, "--json"]
    environment = os.environ | deployed.project.environment
    options = {"cwd": deployed.project.folder, "env": environment, "stdout": subprocess.DEVNULL}
    with subprocess.Popen(command, start_new_session=True, **options) as started:
        wait_until(lambda: len(deployed.probes()) >= 3, "the probes", 60)
        os.killpg(started.pid, signal.SIGINT)  # as Ctrl-C does, to kubectl too
        assert started.wait(30) == 130
    wait_until(lambda: deployed.probes() == [], "the end of the probes", 60)


def test_a_stopped_server_is_named_and_started_by_the_command(deployed: Deployed):
    deployed.kubectl("scale", "statefulset/postgres", "--namespace=flyte", "--replicas=0")
    deployed.kubectl("wait", "--for=delete", "pod/postgres-0", "--namespace=flyte", "--timeout=60s")
    found = deployed.doctor()

    assert found["postgres"][0]["says"] == "statefulset/postgres is scaled to 0"
    assert found["database"][0]["says"] == "depends on: postgres"
    assert found["buckets"][0]["state"] == "ok"
    deployed.fix(found["postgres"][0])
    deployed.kubectl("rollout", "status", "statefulset/postgres", "--namespace=flyte", "--timeout=60s")
    wait_until(lambda: deployed.doctor()["API"][0]["state"] == "ok", "Flyte's connections", 60)


def test_a_missing_image_is_named(deployed: Deployed):
    def image(name: str) -> None:
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "minio", "image": name}]}}}}
        deployed.kubectl("patch", "statefulset/minio", "--namespace=flyte", f"--patch={json.dumps(patch)}")

    path = "--output=jsonpath={.spec.template.spec.containers[0].image}"
    before = deployed.kubectl("get", "statefulset/minio", "--namespace=flyte", path)
    image("registry.invalid/none:1")
    try:
        deployed.kubectl("delete", "pod", "minio-0", "--namespace=flyte", "--grace-period=1", "--ignore-not-found")
        wait_until(lambda: "registry.invalid/none:1" in deployed.doctor()["minio"][0]["says"], "the image", 40)
        found = deployed.doctor()
    finally:
        image(before)
        deployed.kubectl("delete", "pod", "minio-0", "--namespace=flyte", "--grace-period=1", "--ignore-not-found")
        deployed.kubectl("rollout", "status", "statefulset/minio", "--namespace=flyte", "--timeout=60s")

    assert "cannot get its image registry.invalid/none:1" in found["minio"][0]["says"]
    assert found["buckets"][0]["state"] == found["signed address"][0]["state"] == "skipped"
    wait_until(lambda: deployed.doctor()["signed address"][0]["state"] == "ok", "the way to the new pod", 30)
    deployed.healthy()


def test_a_wrong_key_a_missing_secret_and_a_missing_bucket_are_distinguished_and_fixed_at_once(deployed: Deployed):
    wrong = '{"stringData": {"FLYTE_AWS_SECRET_ACCESS_KEY": "planted-wrong-key"}}'
    deployed.kubectl("patch", "secret", "flyte-object-store", f"--namespace={NAMESPACE}", f"--patch={wrong}")
    deployed.kubectl("delete", "secret", "tidal-creds", f"--namespace={NAMESPACE}")
    with_wrong_key = deployed.doctor()

    assert "wrong key" in with_wrong_key["buckets"][0]["says"]
    assert with_wrong_key["secrets"][0]["says"] == f"tidal-creds/json in {NAMESPACE} is missing"
    deployed.fix(with_wrong_key["buckets"][0])  # compares the whole cluster, so it also recreates the other Secret
    assert deployed.doctor()["secrets"][0]["state"] == "ok"

    remove_bucket(deployed, NAMESPACE)
    without_bucket = deployed.doctor()

    assert without_bucket["buckets"][0]["says"] == f"missing bucket: {NAMESPACE}"
    deployed.fix(without_bucket["buckets"][0])
    deployed.healthy()


def remove_bucket(deployed: Deployed, bucket: str) -> None:
    """Delete a bucket with the root credential."""
    listed = json.loads(deployed.kubectl("get", "secrets", "--namespace=flyte", "--output=json"))["items"]
    (root,) = [found["data"] for found in listed if found["metadata"]["name"].startswith("minio-root-")]
    user, password = (base64.b64decode(root[key]).decode() for key in ("root-user", "root-password"))
    port = free_port()
    command = ["kubectl", "--kubeconfig", str(deployed.cluster.kubeconfig), "--context", deployed.cluster.context]
    command += ["port-forward", "service/minio", f"{port}:9000", "--namespace=flyte"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as forward:
        try:
            wait_until(lambda: _listens(port), "the port-forward")
            client = boto3.client(
                "s3",
                endpoint_url=f"http://127.0.0.1:{port}",
                aws_access_key_id=user,
                aws_secret_access_key=password,
                region_name="us-east-1",
                config=Config(s3={"addressing_style": "path"}),
            )
            for item in client.list_objects_v2(Bucket=bucket).get("Contents", []):
                client.delete_object(Bucket=bucket, Key=item["Key"])
            client.delete_bucket(Bucket=bucket)
        finally:
            forward.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_expired_certificate_of_the_webhook_is_named_and_replaced_by_the_command(deployed: Deployed):
    bundle = base64.b64encode(issued(datetime.datetime(2020, 1, 2), HOST)).decode()
    patch = [{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": bundle}]
    deployed.kubectl(
        "patch", "mutatingwebhookconfiguration", "flyte-binary-webhook", "--type=json", f"--patch={json.dumps(patch)}"
    )
    found = deployed.doctor()

    assert "a pod in remedy-development that asks for a secret is rejected" in found["webhook"][0]["says"]
    says = " ".join(one["says"] for one in found["certificate"])
    assert "not issued by the authority that the API server expects" in says
    assert "expired on 2020-01-02" in says
    deployed.fix(found["certificate"][0])
    deployed.healthy()


@contextlib.contextmanager
def connected(deployed: Deployed, log: Path) -> Iterator[subprocess.Popen[str]]:
    """A running ``make connect`` whose port-forwards are open."""
    command = [sys.executable, "-u", "-m", "ops.connect", STACK]
    with log.open("w") as out, subprocess.Popen(command, cwd=deployed.project.folder, stdout=out, text=True) as started:
        try:
            wait_until(lambda: "Ctrl-C" in log.read_text(), "make connect", 30)
            yield started
        finally:
            started.terminate()


def test_connect_recovers_when_a_pod_is_replaced_and_leaves_nothing_behind(deployed: Deployed, tmp_path: Path):
    log = tmp_path / "connect"
    with connected(deployed, log) as started:
        config = deployed.project.folder / ".client" / f"{STACK}.yaml"
        assert f"127.0.0.1:{deployed.ports['grpc']}" in config.read_text()
        assert "keeps open" in deployed.doctor()["console"][0]["says"]
        deployed.kubectl("delete", "pod", "minio-0", "--namespace=flyte", "--grace-period=1")
        wait_until(lambda: "\nback " in log.read_text(), "the way to come back", 60)
        started.terminate()
        assert started.wait(15) == 0
    assert log.read_text().count("\nlost ") == log.read_text().count("\nback ") == 1
    assert not any(_listens(port) for port in deployed.ports.values())


def test_port_forwards_of_a_killed_connect_are_reported_and_stopped(deployed: Deployed, tmp_path: Path):
    with connected(deployed, tmp_path / "connect") as started:
        started.kill()
        started.wait()

    found = deployed.doctor()

    assert found["console"][0]["state"] == "remark"
    assert found["console"][0]["says"].startswith(
        "ended port-forwards that a killed command had left open: flyte-binary-http"
    )
    assert found["console"][1]["state"] == "ok"
    assert not any(_listens(port) for port in deployed.ports.values())


@pytest.fixture
def client(deployed: Deployed) -> Path:
    """The folder of the example, with Flyte's client."""
    folder = deployed.project.folder / "examples" / "remedy_tidal"
    if not (folder / ".venv").exists():
        pytest.skip("needs Flyte's client: make smoke installs it in examples/remedy_tidal/.venv")
    return folder


def test_smoke_ends_with_the_result_of_the_example(deployed: Deployed, client: Path):
    result = deployed.make("smoke", seconds=240)

    assert result.returncode == 0, result.stderr
    assert "SUCCEEDED" in result.stdout
    assert "result  summary: 2 of 3 vanished tracks can be replaced" in result.stdout
    assert f"http://127.0.0.1:{deployed.ports['http']}/console/projects/remedy/domains/development" in result.stdout


def test_smoke_shows_the_error_and_the_pods_log_of_a_failed_workflow(deployed: Deployed, client: Path):
    (client / "workflow.py").write_text(
        "from flytekit import task, workflow\n\n\n"
        "@task\ndef mend() -> None:\n    print('looking for the playlists')\n"
        "    raise RuntimeError('they are gone')\n\n\n"
        "@workflow\ndef remedy() -> None:\n    mend()\n"
    )
    result = deployed.make("smoke", seconds=240)

    assert result.returncode == 1
    assert "RuntimeError: they are gone" in result.stderr
    assert "        mend                     FAILED" in result.stdout
    assert "--- the end of the log of smoke-" in result.stderr
    assert "looking for the playlists" in result.stderr

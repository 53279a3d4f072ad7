"""The data of a stack survives: backup, rehearsal, restore over changes, and the loss of everything but the target."""

# ruff: noqa: F811 (fixtures)

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from settings.images import images
from tests.engine.backup_target import SECRET, TARGET, USER, target  # noqa: F401 (a fixture)
from tests.engine.conftest import STACK, Cluster, KubectlError, Project
from tests.engine.deployed import Deployed, copy_client, deployment
from tests.processes import wait_until

PLATFORM = "--namespace=flyte"
API = "/api/v1/namespaces/flyte/services/flyte-binary-http:8088/proxy/api/v1"


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, new_project: Callable[[], Project], target: str) -> Iterator[Deployed]:
    """A stack with a backup and one finished execution."""
    backup = {"target": target, "accessKeyId": USER, "volume": {"size": "1Gi"}}
    with deployment(cluster, new_project, backup=backup, backupCredentials=SECRET) as found:
        succeeded(found.make("smoke", seconds=300))
        yield found


@pytest.fixture(scope="module")
def recovery_key(deployed: Deployed) -> str:
    """The recovery key, after which there is a set."""
    shown = succeeded(deployed.make("backup_key", seconds=300))
    (key,) = [line for line in shown.splitlines() if line.startswith("flyte-home-recovery-1-")]
    return key


def succeeded(answer: subprocess.CompletedProcess[str]) -> str:
    """The output of a command that must have succeeded, and shown no secret."""
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert SECRET not in answer.stdout + answer.stderr
    return answer.stdout


def sets(deployed: Deployed) -> list[dict[str, Any]]:
    """The sets, the oldest first."""
    answer = deployed.make("backups", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    found: list[dict[str, Any]] = json.loads(answer.stdout)["sets"]
    return found


def sql(deployed: Deployed, statement: str) -> str:
    psql = ["psql", "--username=postgres", "--dbname=flyte", "-XAt", "--command"]
    return deployed.kubectl("exec", "postgres-0", PLATFORM, "--", *psql, statement).strip()


def finished(deployed: Deployed) -> str:
    """Name of the first execution that has succeeded."""
    return sql(deployed, "SELECT execution_name FROM executions WHERE phase = 'SUCCEEDED' ORDER BY id LIMIT 1")


def outputs(deployed: Deployed, execution: str) -> dict[str, Any]:
    """The outputs of an execution, which Flyte reads from the object store."""
    answer = json.loads(deployed.kubectl("get", "--raw", f"{API}/data/executions/remedy/development/{execution}"))
    found: dict[str, Any] = answer["fullOutputs"]
    return found


def test_a_set_is_verified_and_has_the_state_that_only_the_recovery_key_opens(deployed: Deployed, recovery_key: str):
    newest = sets(deployed)[-1]

    assert newest["verified"]
    assert newest["state"]
    assert newest["rows"] > 10
    assert newest["objects"] > 5
    parts = deployed.kubectl("get", "configmap", "backup-state-1", PLATFORM, "--output=json")
    assert "planted" not in parts
    again = deployed.make("backup_key")
    assert again.returncode == 1
    assert "there is a recovery key; it was shown once" in again.stderr
    assert recovery_key not in (deployed.project.folder / f"Pulumi.{STACK}.yaml").read_text()


def test_a_rehearsal_restores_the_newest_set_and_leaves_nothing_in_the_cluster(deployed: Deployed, recovery_key: str):
    assert "can be restored" in succeeded(deployed.make("drill", seconds=300))

    assert sets(deployed)[-1]["drilled"]
    kinds = ["get", "pods,persistentvolumeclaims,jobs", "--namespace=flyte-drill", "--output=name"]
    wait_until(lambda: not deployed.kubectl(*kinds).strip(), "the end of the rehearsal", 60)


def test_a_backup_killed_at_any_moment_leaves_no_set_that_looks_whole(deployed: Deployed, recovery_key: str):
    before = len(sets(deployed))
    for _ in range(3):
        running = subprocess.Popen(
            [sys.executable, "-m", "ops.backup", STACK],
            cwd=deployed.project.folder,
            env=os.environ | deployed.project.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(random.uniform(3, 14))  # noqa: S311 (no secret)
        running.kill()
        running.wait(10)
        selector = "--selector=batch.kubernetes.io/job-name,app.kubernetes.io/name=backup"
        deployed.kubectl("delete", "jobs", PLATFORM, "--selector=app.kubernetes.io/name=backup", "--cascade=foreground")
        deployed.kubectl("delete", "pods", PLATFORM, selector, "--grace-period=0", "--force", "--ignore-not-found")

    succeeded(deployed.make("backup", seconds=300))
    listed = sets(deployed)
    assert len(listed) > before
    for one in [one for one in listed if one["verified"]][-2:]:
        succeeded(deployed.make("drill", "--at", one["id"], seconds=300))


def test_a_restore_over_content_needs_to_be_told_and_brings_back_what_was_lost(deployed: Deployed, recovery_key: str):
    execution = finished(deployed)
    expected = outputs(deployed, execution)
    wanted = sets(deployed)[-1]["id"]

    refused = deployed.make("restore", "--at", wanted)
    assert refused.returncode == 1
    assert "OVER=yes" in refused.stderr
    sql(deployed, "DELETE FROM executions; DELETE FROM node_executions; UPDATE tags SET artifact_id = 'planted'")
    # As if it had been running at the time of the backup.
    succeeded(deployed.make("restore", "--at", wanted, "--over", seconds=400))

    assert outputs(deployed, execution) == expected
    assert sql(deployed, "SELECT count(*) FROM tags WHERE artifact_id = 'planted'") == "0"
    assert sets(deployed)[-1]["label"] == "before-restore"
    assert "flyte_replaced" not in sql(deployed, "SELECT datname FROM pg_database")


def test_a_row_that_was_running_is_aborted_after_a_restore(deployed: Deployed, recovery_key: str):
    execution = finished(deployed)
    sql(deployed, f"UPDATE executions SET phase = 'RUNNING' WHERE execution_name = '{execution}'")  # noqa: S608
    succeeded(deployed.make("backup", seconds=300))
    wanted = sets(deployed)[-1]["id"]

    succeeded(deployed.make("restore", "--at", wanted, "--over", seconds=400))

    phase = f"SELECT phase FROM executions WHERE execution_name = '{execution}'"  # noqa: S608
    assert sql(deployed, phase) != "RUNNING"


def test_a_target_that_does_not_answer_is_named_and_nothing_is_changed(deployed: Deployed, recovery_key: str):
    rows = sql(deployed, "SELECT count(*) FROM executions")
    manifest = deployed.kubectl("get", "service", "nas", f"--namespace={TARGET}", "--output=json")
    deployed.kubectl("delete", "service", "nas", f"--namespace={TARGET}")
    try:
        answer = deployed.make("restore", "--over", seconds=400)
    finally:
        service = json.loads(manifest)
        service["metadata"] = {"name": "nas", "namespace": TARGET}
        service["spec"].pop("clusterIP")
        service["spec"].pop("clusterIPs")
        deployed.kubectl("apply", "--filename=-", given=json.dumps(service))

    assert answer.returncode == 1
    assert "flyte-home:backup.target" in answer.stdout + answer.stderr
    assert sql(deployed, "SELECT count(*) FROM executions") == rows


def test_everything_comes_back_on_a_new_machine_with_the_recovery_key(
    deployed: Deployed, recovery_key: str, cluster: Cluster, new_project: Callable[[], Project]
):
    execution = finished(deployed)
    expected = outputs(deployed, execution)
    succeeded(deployed.make("backup", seconds=300))
    _lose_the_volumes(deployed)
    succeeded(deployed.make("destroy", seconds=600))

    bare = new_project()
    copy_client(bare)
    for stack_file in bare.folder.glob(f"Pulumi.{STACK}.yaml"):
        stack_file.unlink()
    image = images(cluster.settings.get("images", {}))["restic"].reference
    begin = time.monotonic()
    answer = subprocess.run(
        [sys.executable, "-m", "ops.recover", "--context", cluster.context, "--image", image],
        cwd=bare.folder,
        env=os.environ | bare.environment | {"KUBECONFIG": str(cluster.kubeconfig)},
        input=recovery_key,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    # What the end of this module destroys from now on.
    deployed.project = bare
    shown = succeeded(answer)

    assert "is back" in shown
    assert recovery_key not in shown
    assert time.monotonic() - begin < 300 * (os.getloadavg()[0] > 3) + 300
    assert outputs(deployed, execution) == expected
    launched = {"id": {"project": "remedy", "domain": "development", "name": execution}, "name": "relaunched"}
    deployed.kubectl("create", "--raw", f"{API}/executions/relaunch", "--filename=-", given=json.dumps(launched))
    phase = "SELECT phase FROM executions WHERE execution_name = 'relaunched'"
    wait_until(lambda: sql(deployed, phase) in {"SUCCEEDED", "FAILED"}, "the execution that was started again", 180)
    assert sql(deployed, phase) == "SUCCEEDED"
    with pytest.raises(KubectlError):
        deployed.kubectl("get", "namespace", "flyte-recovery")


def _lose_the_volumes(deployed: Deployed) -> None:
    """Delete the files of both servers, because some storage classes keep them for the next claim of the name."""
    image = images(deployed.cluster.settings.get("images", {}))["postgres"].reference
    deployed.kubectl(
        "scale", "deployment/flyte-binary", "statefulset/postgres", "statefulset/minio", "--replicas=0", PLATFORM
    )
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    for claim, user in (("postgres-data", 999), ("minio-data", 1000)):
        command = ["/bin/sh", "-c", "find /data -mindepth 1 -delete"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"lose-{claim}", "namespace": "flyte"},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": user,
                    "runAsGroup": user,
                    "fsGroup": user,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "lose",
                        "image": image,
                        "command": command,
                        "securityContext": security,
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    }
                ],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
            },
        }
        deployed.kubectl("wait", "--for=delete", "pod/postgres-0", "pod/minio-0", PLATFORM, "--timeout=150s")
        deployed.kubectl("create", "--filename=-", given=json.dumps(pod))
        phase = ["get", "pod", f"lose-{claim}", PLATFORM, "--output=jsonpath={.status.phase}"]
        wait_until(lambda asked=phase: deployed.kubectl(*asked) == "Succeeded", f"the loss of {claim}", 60)
        deployed.kubectl("delete", "pod", f"lose-{claim}", PLATFORM)

"""A stack that failed half way, or that someone has damaged: the next plain ``make up`` puts it right, and says why."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from tests.engine.conftest import STACK, Cluster, KubectlError, Project
from tests.engine.deployed import Deployed, deployment
from tests.processes import wait_until

PLATFORM = "--namespace=flyte"


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, new_project: Callable[[], Project]) -> Iterator[Deployed]:
    """A stack that all tests of this file share; it is destroyed after the last one."""
    with deployment(cluster, new_project) as found:
        yield found


class Command:
    """A running command of ``ops``, and what it has printed."""

    started: ClassVar[list["Command"]] = []

    def __init__(self, deployed: Deployed, command: str = "up") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"ops.{command}", STACK],
            cwd=deployed.project.folder,
            env=os.environ | deployed.project.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(self)
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.output += line

    def says(self, text: str, seconds: float = 180) -> None:
        """Wait until it has printed a text."""
        end = time.monotonic() + seconds
        while text not in self.output:
            assert self.process.poll() is None, f"it ended without {text!r}:\n{self.output}"
            assert time.monotonic() < end, f"{text!r} is not in\n{self.output}"
            time.sleep(0.2)

    def end(self, seconds: float = 300) -> str:
        """Wait until it has ended well; return what it has printed."""
        assert self.process.wait(seconds) == 0, self.output
        self._reader.join()
        return self.output

    def interrupt(self) -> str:
        """Press Ctrl-C; return what it has printed."""
        os.killpg(self.process.pid, signal.SIGINT)
        assert self.process.wait(180) != 0, self.output
        self._reader.join()
        return self.output

    def kill(self) -> None:
        """End it with everything that it has started, like a power cut."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        # The engine starts its plugins in groups of their own.
        subprocess.run(["pkill", "-KILL", "-f", "pulumi-(resource|language)-"], check=False)


@pytest.fixture(autouse=True)
def no_command_outlives_its_test() -> Iterator[None]:
    yield
    for command in Command.started:
        if command.process.poll() is None:
            command.kill()
    Command.started.clear()


def configure(deployed: Deployed, path: str, value: str) -> None:
    """Set a setting; an empty value removes it."""
    command = ["pulumi", "config", "set" if value else "rm", "--path", f"flyte-home:{path}", "--stack", STACK]
    subprocess.run(
        [*command, *([value] if value else [])],
        cwd=deployed.project.folder,
        env=os.environ | deployed.project.environment,
        check=True,
        capture_output=True,
    )


def explained(output: str) -> str:
    """The last part of a failed ``make up``: the cause."""
    assert "Traceback" not in output
    assert output.rstrip().endswith(f"Then run again: make up STACK={STACK}  # it goes on where this one stopped")
    return output.split("Looking for the cause:")[1]


def test_objects_that_someone_has_deleted_are_created_again(deployed: Deployed):
    deleted = [
        ("deployment/flyte-binary", "service/flyte-binary-http", "deployment/flyte-webhook-1", "service/minio"),
        ("statefulset/postgres", "networkpolicy/flyte-binary", "configmap/flyte-binary-config"),
    ]
    for names in deleted:
        deployed.kubectl("delete", *names, PLATFORM)
    for kind in ("jobs", "configmaps"):
        deployed.kubectl("delete", kind, PLATFORM, "--selector=app.kubernetes.io/part-of=flyte-home")
    deployed.kubectl("delete", "secret/tidal-creds", "podtemplate/flyte-task", "--namespace=remedy-development")
    deployed.kubectl("delete", "validatingadmissionpolicy", "flyte-home-task-pods")

    output = Command(deployed).end()

    assert "Recreating what is missing of Flyte:" in output
    deployed.healthy()


def test_a_namespace_that_someone_has_deleted_is_created_again(deployed: Deployed):
    deployed.kubectl("delete", "namespace", "remedy-development", "--wait=false")

    Command(deployed).end()

    deployed.healthy()


def test_what_someone_has_changed_with_kubectl_is_restored(deployed: Deployed):
    patch = ["patch", "--type=merge", PLATFORM]
    deployed.kubectl(*patch, "networkpolicy", "postgres", '--patch={"spec": {"ingress": [{}]}}')
    deployed.kubectl(*patch, "statefulset", "minio", '--patch={"spec": {"replicas": 0}}')
    level = "pod-security.kubernetes.io/enforce"
    deployed.kubectl("label", "namespace", "remedy-development", "--overwrite", f"{level}=privileged")

    Command(deployed).end()

    policy = json.loads(deployed.kubectl("get", "networkpolicy", "postgres", PLATFORM, "--output=json"))
    assert policy["spec"]["ingress"] != [{}]
    namespace = json.loads(deployed.kubectl("get", "namespace", "remedy-development", "--output=json"))
    assert namespace["metadata"]["labels"][level] != "privileged"
    deployed.healthy()


def test_a_job_that_has_failed_is_run_again_by_the_next_up(deployed: Deployed):
    """As in a first up on a cluster whose DNS is down: the Job gives up, and stays failed."""
    configure(deployed, "minio.bucketQuota", "15Gi")
    failing = Command(deployed)
    names = ["get", "jobs", PLATFORM, "--output=name"]
    wait_until(lambda: deployed.kubectl(*names).count("minio-provision") == 2, "the new Job", 90)
    running = ["--field-selector=status.successful=0"]
    (job,) = [name for name in deployed.kubectl(*names, *running).split() if "minio-provision" in name]
    deployed.kubectl("patch", job, PLATFORM, '--patch={"spec": {"activeDeadlineSeconds": 1}}')
    assert failing.process.wait(180) != 0, failing.output
    assert f"{job.replace('.batch', '')} has failed" in explained(failing.output)

    Command(deployed).end()

    deployed.healthy()


def test_an_image_that_cannot_be_pulled_is_named_while_up_waits_and_after_it(deployed: Deployed):
    image = deployed.kubectl("get", "statefulset", "minio", PLATFORM, "--output=jsonpath={..containers[0].image}")
    configure(deployed, "images.minio", "registry.invalid/silo:1")
    waiting = Command(deployed)
    waiting.says("minio-0 cannot get its image registry.invalid/silo:1")
    assert "waiting for statefulset/minio (" in waiting.output

    cause = explained(waiting.interrupt())
    assert "statefulset/minio is not ready: minio-0 cannot get its image registry.invalid/silo:1" in cause
    assert "# or set another image with flyte-home:images.*" in cause
    configure(deployed, "images.minio", image)
    Command(deployed).end()

    deployed.healthy()


def test_up_goes_on_when_a_quota_that_is_too_small_is_raised(deployed: Deployed):
    deployed.kubectl("create", "quota", "small", "--hard=pods=1", PLATFORM)
    configure(deployed, "minio.bucketQuota", "16Gi")
    waiting = Command(deployed)
    waiting.says("FailedCreate: ")
    waiting.says("exceeded quota: small")
    deployed.kubectl("delete", "quota", "small", PLATFORM)
    # A controller tries again after up to ten minutes. A new object is tried at once.
    waiting.interrupt()

    Command(deployed).end()

    deployed.healthy()


def test_a_pod_that_is_killed_while_the_store_is_provisioned_does_no_harm(deployed: Deployed):
    configure(deployed, "minio.bucketQuota", "17Gi")
    running = Command(deployed)
    names = ["get", "jobs", PLATFORM, "--output=name"]
    before = deployed.kubectl(*names)
    wait_until(lambda: deployed.kubectl(*names) != before, "the new Job", 90)
    deployed.kubectl("delete", "pod", "minio-0", "postgres-0", PLATFORM, "--grace-period=0", "--force")

    running.end()

    deployed.healthy()


def test_a_store_with_another_root_key_than_the_stack_gets_the_right_one(deployed: Deployed):
    """As after a restart of the store with a StatefulSet that was edited."""
    workload = json.loads(deployed.kubectl("get", "statefulset", "minio", PLATFORM, "--output=json"))
    variables = workload["spec"]["template"]["spec"]["containers"][0]["env"]
    (index,) = [at for at, variable in enumerate(variables) if variable["name"] == "MINIO_ROOT_PASSWORD"]
    other = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "other-root"},
        "stringData": {"root-password": "another-root-key"},
    }
    deployed.kubectl("apply", "--filename=-", PLATFORM, given=json.dumps(other))
    place = f"/spec/template/spec/containers/0/env/{index}/valueFrom/secretKeyRef/name"
    patch = json.dumps([{"op": "replace", "path": place, "value": "other-root"}])
    deployed.kubectl("patch", "statefulset", "minio", PLATFORM, "--type=json", f"--patch={patch}")
    deployed.kubectl("rollout", "status", "statefulset/minio", PLATFORM, "--timeout=90s")
    configure(deployed, "minio.bucketQuota", "18Gi")

    Command(deployed).end()

    deployed.healthy()


def test_a_volume_that_has_disappeared_stops_the_update_until_it_may_be_empty(deployed: Deployed):
    deployed.kubectl("delete", "persistentvolumeclaim", "postgres-data", PLATFORM, "--wait=false")
    deployed.kubectl("scale", "statefulset", "postgres", "--replicas=0", PLATFORM)
    deployed.kubectl("wait", "--for=delete", "persistentvolumeclaim/postgres-data", PLATFORM, "--timeout=90s")

    stopped = deployed.make("up")

    assert stopped.returncode == 1
    assert (
        "persistentvolumeclaim/postgres-data in flyte, which held data, is no longer in the cluster" in stopped.stderr
    )
    assert deployed.make("up", "--empty-volumes", seconds=400).returncode == 0
    # Flyte's tables were in the volume; it creates them when it starts.
    deployed.kubectl("rollout", "restart", "deployment/flyte-binary", PLATFORM)
    deployed.kubectl("rollout", "status", "deployment/flyte-binary", PLATFORM, "--timeout=180s")


@pytest.mark.parametrize("when", range(3))
def test_a_destroy_and_an_installation_that_are_killed_are_completed_by_the_next(deployed: Deployed, when: int):
    destroying = Command(deployed, "destroy")
    destroying.says(" deleted (" if when else " deleting (")
    time.sleep(random.uniform(0, 8))  # noqa: S311 (a moment, no secret)
    destroying.kill()
    if when == 1:  # an up after a destroy that was killed
        Command(deployed).end(500)
        deployed.healthy()
    Command(deployed, "destroy").end()
    with pytest.raises(KubectlError, match="not found"):
        deployed.kubectl("get", "namespace", "flyte")

    installing = Command(deployed)
    installing.says(" created (")
    time.sleep(random.uniform(0, 15))  # noqa: S311
    installing.kill()

    output = Command(deployed).end(500)
    assert "was killed. Going on where it stopped" in output
    deployed.healthy()


def test_a_key_that_someone_has_changed_in_the_store_is_repaired_by_the_next_up(deployed: Deployed):
    jobs = deployed.kubectl("get", "jobs", "--namespace=flyte", "--output=name").split()
    (job,) = [name for name in jobs if "minio-provision" in name]
    pod = json.loads(deployed.kubectl("get", job, "--namespace=flyte", "--output=json"))["spec"]["template"]
    script = (
        "export MC_HOST_store=http://$(cat $ROOT/root-user):$(cat $ROOT/root-password)@minio:9000; "
        "printf '%s\\n%s\\n' flyte-tasks-remedy-development another-key-1 | mc admin user add store"
    )
    pod["spec"]["containers"][0]["command"] = ["/bin/sh", "-ec", script]
    labels = {"app.kubernetes.io/name": "minio-provision"}
    wrong = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wrong", "labels": labels}, "spec": pod["spec"]}
    deployed.kubectl("create", "--namespace=flyte", "--filename=-", given=json.dumps(wrong))
    done = "--for=jsonpath={.status.phase}=Succeeded"
    deployed.kubectl("wait", done, "pod/wrong", "--namespace=flyte", "--timeout=60s")
    deployed.kubectl("delete", "pod", "wrong", "--namespace=flyte")
    assert "SignatureDoesNotMatch" in str(deployed.doctor()["buckets"])

    answer = deployed.make("up", seconds=300)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "The object store rejects the key of flyte-tasks-remedy-development" in answer.stdout
    deployed.healthy()

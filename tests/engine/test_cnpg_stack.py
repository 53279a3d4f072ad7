"""A stack whose database is a cluster of the operator CloudNativePG: failover, rotation, backup, and what is kept."""

# ruff: noqa: F811 (fixtures)

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.engine.backup_target import SECRET, USER, target  # noqa: F401 (a fixture)
from tests.engine.conftest import Cluster, KubectlError, Project, kubectl
from tests.engine.deployed import Deployed, deployment
from tests.engine.executions import acknowledged, all_succeed, first, summary
from tests.engine.modes import OPERATOR, require_operator
from tests.processes import wait_until

PLATFORM = "--namespace=flyte"
KIND = "clusters.postgresql.cnpg.io"
MODE = {"mode": "cloudnative-pg", "volume": {"size": "2Gi"}}
KILLS, BETWEEN_KILLS = 2, 3


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, new_project: Callable[[], Project], target: str) -> Iterator[Deployed]:
    """A stack of three instances, with a backup and one finished execution."""
    require_operator(cluster)
    backup = {"target": target, "accessKeyId": USER, "volume": {"size": "1Gi"}}
    more: dict[str, Any] = {"backupCredentials": SECRET, "network": {"enabled": False}, "keepVolumes": True}
    with deployment(cluster, new_project, postgres=MODE, backup=backup, **more) as found:
        answer = found.make("smoke", seconds=300)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        yield found
    # With keepVolumes, the namespace stays as well.
    kubectl(cluster.kubeconfig, "delete", "namespace", "flyte", "--ignore-not-found")


def status(deployed: Deployed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(deployed.kubectl("get", KIND, "postgres", PLATFORM, "--output=json"))["status"]
    return found


@contextmanager
def without_operator(deployed: Deployed) -> Iterator[None]:
    """The operator does not run until the end of the context."""
    deployed.kubectl("scale", *OPERATOR, "--replicas=0")
    try:
        yield
    finally:
        deployed.kubectl("scale", *OPERATOR, "--replicas=1")
        deployed.kubectl("wait", *OPERATOR, "--for=condition=Available", "--timeout=120s")


def test_no_acknowledged_execution_is_lost_when_the_primary_dies(deployed: Deployed):
    original = first(deployed)
    expected = summary(deployed, original["name"])
    taken: list[str] = []
    attempts = iter(f"failover{number}" for number in range(600))
    primaries = [status(deployed)["currentPrimary"]]

    for kill in range(KILLS + 1):
        enough = len(taken) + BETWEEN_KILLS
        while len(taken) < enough:
            name = next(attempts)
            if acknowledged(deployed, original, name):
                taken.append(name)
        if kill < KILLS:
            deployed.kubectl("delete", "pod", primaries[-1], PLATFORM, "--grace-period=0", "--force")
            wait_until(
                lambda: status(deployed)["currentPrimary"] != primaries[-1], f"the successor of {primaries[-1]}", 120
            )
            primaries.append(status(deployed)["currentPrimary"])

    all_succeed(deployed, taken, expected)
    assert len(set(primaries)) > 1
    wait_until(lambda: status(deployed)["readyInstances"] == 3, "three instances", 180)
    deployed.healthy()


def test_a_rotation_gives_the_role_another_password_and_the_servers_another_key(deployed: Deployed):
    def secrets() -> dict[str, Any]:
        names = ("postgres-owner", "postgres-certificate")
        return {
            name: json.loads(deployed.kubectl("get", "secret", name, PLATFORM, "-o=json"))["data"] for name in names
        }

    before = secrets()
    rotated = deployed.make("rotate", "postgres", "postgresSuperuser")
    assert rotated.returncode == 0, rotated.stderr
    updated = deployed.make("up", seconds=300)
    assert updated.returncode == 0, updated.stdout + updated.stderr

    after = secrets()
    assert before["postgres-owner"]["password"] != after["postgres-owner"]["password"]
    assert before["postgres-certificate"]["tls.key"] != after["postgres-certificate"]["tls.key"]
    deployed.healthy()


def test_without_the_operator_nothing_is_changed_and_one_message_says_why(deployed: Deployed):
    with without_operator(deployed):
        version = deployed.kubectl(
            "get", "secret", "postgres-owner", PLATFORM, "-o=jsonpath={.metadata.resourceVersion}"
        )
        assert deployed.make("rotate", "postgres").returncode == 0
        for command in ("up", "preview"):
            answer = deployed.make(command, seconds=60)
            assert answer.returncode == 1
            (said,) = [line for line in answer.stderr.splitlines() if not line.startswith("warning: ")]
            assert said.startswith("the operator CloudNativePG does not run: deployment/cnpg-controller-manager")
            assert said.endswith("Nothing was changed")
        unchanged = ["get", "secret", "postgres-owner", PLATFORM, "-o=jsonpath={.metadata.resourceVersion}"]
        assert deployed.kubectl(*unchanged) == version
        (wrong,) = [one for one in deployed.doctor()["postgres"] if one["state"] == "wrong"]
        assert "no standby takes over" in wrong["says"]

    assert deployed.make("up", seconds=300).returncode == 0
    deployed.healthy()


def test_no_password_is_in_an_object_that_is_not_a_secret_or_in_a_log(deployed: Deployed):
    password = deployed.kubectl(
        "get", "secret", "postgres-owner", PLATFORM, "-o=go-template={{.data.password | base64decode}}"
    )
    texts = deployed.kubectl("get", f"{KIND},pods,jobs,configmaps,events", "-A", "--output=yaml")
    texts += deployed.kubectl("logs", "--selector=cnpg.io/cluster=postgres", PLATFORM, "--all-containers", "--tail=-1")

    assert len(password) == 32
    assert "cnpg.io/cluster" in texts
    assert password not in texts


def test_a_backup_is_restored_over_changes_as_the_owner(deployed: Deployed):
    kept = first(deployed)["name"]
    made = deployed.make("backup", seconds=300)
    assert made.returncode == 0, made.stdout + made.stderr
    assert acknowledged(deployed, first(deployed), "afterwards")
    rehearsed = deployed.make("drill", seconds=300)
    assert rehearsed.returncode == 0, rehearsed.stdout + rehearsed.stderr

    restored = deployed.make("restore", "--over", "--no-restore-point", seconds=500)

    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert summary(deployed, kept)
    with pytest.raises(KubectlError):
        summary(deployed, "afterwards")


def test_destroy_keeps_the_cluster_and_the_next_up_takes_it_over(deployed: Deployed):
    kept = first(deployed)["name"]
    expected = summary(deployed, kept)
    uid = deployed.kubectl("get", KIND, "postgres", PLATFORM, "-o=jsonpath={.metadata.uid}")

    destroyed = deployed.make("destroy", seconds=300)
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert deployed.kubectl("get", KIND, "postgres", PLATFORM, "-o=jsonpath={.metadata.uid}") == uid
    time.sleep(10)
    assert status(deployed)["readyInstances"] == 3
    updated = deployed.make("up", seconds=400)
    assert updated.returncode == 0, updated.stdout + updated.stderr

    assert deployed.kubectl("get", KIND, "postgres", PLATFORM, "-o=jsonpath={.metadata.uid}") == uid
    assert summary(deployed, kept) == expected
    deployed.healthy()

"""``make leftovers``: how long it waits, and what it prints; tests/apiserver says what it finds."""

import sys
from typing import Any

import pytest

from ops import leftovers
from ops.leftovers import Left
from ops.lib.kubectl import Cluster
from tests.conftest import UID, stack
from tests.kubectl import FakeCluster, settings

GOING = Left("", "Namespace", "flyte", going=True)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[set[Left]]:
    """What the cluster still has, look by look; the last one stays."""
    remaining: list[set[Left]] = []
    monkeypatch.setattr(
        leftovers, "leftovers", lambda *_: remaining.pop(0) if len(remaining) > 1 else set(remaining[0])
    )
    monkeypatch.setattr(leftovers, "_PAUSE", 0)
    return remaining


def run(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, **changed: Any) -> int:
    monkeypatch.setattr(leftovers, "stack_config", lambda _stack: stack(**changed))
    monkeypatch.setattr(leftovers.Cluster, "of", lambda *_: cluster)
    monkeypatch.setattr(sys, "argv", ["leftovers", "dev", "--patience", "0.2"])
    return leftovers.main()


@pytest.fixture
def home() -> FakeCluster:
    cluster = FakeCluster()
    cluster.on("get namespace kube-system", UID)
    return cluster


def test_it_waits_until_what_is_being_deleted_is_gone(looks: list[set[Left]], home: FakeCluster):
    looks += [{GOING}, {GOING}, set()]

    assert leftovers.wait(home, settings(), 60) == set()


def test_it_does_not_wait_if_something_is_not_being_deleted(looks: list[set[Left]], home: FakeCluster):
    role = Left("", "ClusterRole", "flyte-binary-watch")
    looks += [{GOING, role}, set()]

    assert leftovers.wait(home, settings(), 60) == {GOING, role}


def test_a_clean_cluster_is_one_line(
    looks: list[set[Left]], home: FakeCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    looks += [set()]

    assert run(monkeypatch, home) == 0
    assert capsys.readouterr().out == "ok      nothing of the stack is in the cluster of home\n"


def test_what_is_left_is_listed_and_the_command_fails(
    looks: list[set[Left]], home: FakeCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    looks += [
        {
            Left("", "Namespace", "flyte"),
            Left("flyte", "Secret", "minio-root-1"),
            Left("flyte", "Service", "minio"),
            Left("", "Namespace", "remedy-staging", going=True),
            Left("", "PersistentVolume", "pv-1", claim="flyte/minio-data (policy Retain)"),
            Left("default", "Pod", "stray"),
        }
    ]

    assert run(monkeypatch, home) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "left    Namespace flyte (2 objects in it)",
        "left    Namespace remedy-staging: still being deleted",
        "left    PersistentVolume pv-1 of the claim flyte/minio-data (policy Retain)",
        "left    Pod stray in default",
    ]
    assert printed.err.startswith("FAILED  6 objects are in the cluster of home. make destroy STACK=dev removes")


def test_kept_volumes_are_shown_but_do_not_fail(
    looks: list[set[Left]], home: FakeCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    looks += [
        {Left("", "Namespace", "flyte", kept=True), Left("flyte", "PersistentVolumeClaim", "minio-data", kept=True)}
    ]

    assert run(monkeypatch, home, keepVolumes=True) == 0
    assert capsys.readouterr().out.splitlines() == [
        "kept    Namespace flyte: keepVolumes",
        "kept    PersistentVolumeClaim minio-data in flyte: keepVolumes",
        "ok      nothing else of the stack is in the cluster of home",
    ]


@pytest.mark.parametrize("says", ["another-cluster", ""])
def test_another_cluster_and_one_that_does_not_answer_are_not_called_clean(
    says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    cluster = FakeCluster()
    cluster.on("get namespace kube-system", says, "" if says else "connection refused")

    assert run(monkeypatch, cluster) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("belongs to the cluster" if says else "does not answer: connection refused") in printed.err

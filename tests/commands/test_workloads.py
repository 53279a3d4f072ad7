"""What an update waits for: why a workload is not ready, and when waiting does not help."""

import base64
import gzip
import io
import json
from typing import Any

import pytest
import yaml

from ops.lib import watch
from ops.lib.recovery import await_deletions, restore_release
from ops.lib.watch import Watch
from ops.lib.workloads import Workloads
from settings.errors import SettingsError
from tests.kubectl import FakeCluster

Object = dict[str, Any]


def workload(kind: str = "StatefulSet", name: str = "minio", ready: int = 0, replicas: int = 1, **more: Any) -> Object:
    status = {"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": 1}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {"spec": {"volumes": volumes}},
    }
    return {"kind": kind, "metadata": {"name": name, "generation": 1}, "spec": spec, "status": status | more}


def pod(name: str = "minio-0", app: str = "minio", node: str = "n1", **status: Any) -> Object:
    metadata = {"name": name, "labels": {"app": app}, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": node},
        "status": {"phase": "Pending", **status},
    }


def container(**state: Any) -> Object:
    return {"name": "minio", "image": "registry.home/silo:1", "state": state}


def event(reason: str, message: str, about: str = "minio-0", kind: str = "Pod", type_: str = "Normal") -> Object:
    involved = {"kind": kind, "name": about, "uid": about}
    return {"kind": "Event", "type": type_, "reason": reason, "message": message, "involvedObject": involved}


CREATING = {"containerStatuses": [container(waiting={"reason": "ContainerCreating"})]}
PULLING = event("Pulling", 'Pulling image "registry.home/silo:1"')
UNSCHEDULED = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]}


@pytest.mark.parametrize(
    ("objects", "away", "says", "time_helps"),
    [
        (
            [workload(), pod(**CREATING), PULLING],
            [],
            "minio-0 is pulling its image registry.home/silo:1",
            True,
        ),
        (
            [workload(), pod(**CREATING), PULLING, event("Pulled", 'Successfully pulled image "registry.home/silo:1"')],
            [],
            "minio-0 is Pending and not ready yet",
            False,
        ),
        (
            [
                workload(),
                pod(containerStatuses=[container(waiting={"reason": "ErrImagePull", "message": "no such host"})]),
                PULLING,
            ],
            [],
            "minio-0 cannot get its image registry.home/silo:1 (ErrImagePull: no such host)",
            False,
        ),
        ([workload(), pod()], ["n1"], "minio-0 is on the node n1, which is not ready", True),
        (
            [workload(), pod(node="", **UNSCHEDULED)],
            ["n1"],
            "minio-0 has no node (0/1 nodes are available); not ready: n1",
            True,
        ),
        (
            [
                workload(),
                pod(node="", **UNSCHEDULED),
                event(
                    "ProvisioningFailed", 'storageclass "fast" not found', "minio", "PersistentVolumeClaim", "Warning"
                ),
            ],
            [],
            'minio-0 has no node (0/1 nodes are available); ProvisioningFailed: storageclass "fast" not found',
            False,
        ),
        (
            [workload(), event("FailedCreate", "exceeded quota: small", "minio", "StatefulSet", "Warning")],
            [],
            "it has no pod; FailedCreate: exceeded quota: small",
            False,
        ),
        ([workload(replicas=0)], [], "it is scaled to 0", False),
    ],
)
def test_the_reason_for_waiting_is_named_and_whether_time_helps(
    objects: list[Object], away: list[str], says: str, time_helps: bool
):
    (found,) = Workloads(objects, away).waiting()

    assert (found.what, found.trouble.says, found.trouble.time_helps) == ("statefulset/minio", says, time_helps)


def test_what_is_ready_or_has_ended_or_is_not_waited_for_is_not_shown():
    def job(name: str, condition: str = "", **annotations: str) -> Object:
        conditions = [{"type": condition, "status": "True"}] if condition else []
        selector = {"matchLabels": {"job": name}}
        metadata = {"name": name, "annotations": annotations}
        return {
            "kind": "Job",
            "metadata": metadata,
            "spec": {"selector": selector},
            "status": {"conditions": conditions},
        }

    objects = [
        workload(ready=1),
        workload(name="updating", ready=1, observedGeneration=0),
        job("done", "Complete"),
        job("failed", "Failed"),
        job("later", **{"pulumi.com/skipAwait": "true"}),
        job("new"),
    ]

    assert [one.what for one in Workloads(objects).waiting()] == ["statefulset/updating", "job/new"]


def test_events_without_a_message_or_a_type_are_no_obstacle():
    """The API server leaves out what is empty."""
    bare = {"kind": "Event", "involvedObject": {"kind": "Pod", "name": "minio-0", "uid": "minio-0"}}
    named = bare | {"reason": "Pulling"}

    (found,) = Workloads([workload(), pod(**CREATING), bare, named]).waiting()

    assert found.trouble.says == "minio-0 is Pending and not ready yet"


class Clock:
    """A watch whose workloads and seconds a test decides."""

    def __init__(self) -> None:
        self.cluster, self.out, self.interrupted, self.now = FakeCluster(), io.StringIO(), 0, 100.0
        self.watch = Watch(self.cluster, "flyte", self.out, interrupt=self.interrupt)

    def interrupt(self) -> None:
        self.interrupted += 1

    def pass_(self, seconds: float, *objects: Object, away: tuple[str, ...] = ()) -> list[str]:
        """Let time pass with these objects; return the new lines."""
        before = len(self.out.getvalue())
        for _ in range(int(seconds // 5)):
            self.now += 5
            self.watch.look(Workloads(objects, away), self.now)
        return self.out.getvalue()[before:].splitlines()


def test_a_wait_is_shown_when_it_becomes_long_and_again_when_it_changes_or_goes_on():
    clock, slow = Clock(), [workload(), pod(**CREATING), PULLING]

    assert clock.pass_(5, *slow) == []
    assert clock.pass_(15, *slow) == [
        "waiting for statefulset/minio (10 s): minio-0 is pulling its image registry.home/silo:1"
    ]
    assert clock.pass_(55, *slow) == [
        "waiting for statefulset/minio (70 s): minio-0 is pulling its image registry.home/silo:1"
    ]
    assert clock.pass_(5, workload(), pod()) == [
        "waiting for statefulset/minio (75 s): minio-0 is Pending and not ready yet"
    ]
    assert clock.pass_(5, workload(ready=1)) == ["statefulset/minio is ready"]
    assert clock.pass_(300, workload(ready=1)) == []


@pytest.mark.parametrize(("revision", "deleted"), [("minio-old", ["minio-0"]), ("minio-new", [])])
def test_a_broken_pod_with_an_older_spec_is_replaced(revision: str, deleted: list[str]):
    clock, found = Clock(), []
    clock.cluster.on("delete pod minio-0 --namespace=flyte", lambda _: found.append("minio-0") or "")
    broken = pod(**CREATING)
    broken["metadata"]["labels"]["controller-revision-hash"] = revision

    clock.pass_(10, workload(updateRevision="minio-new"), broken)
    assert found == []
    clock.pass_(5, workload(updateRevision="minio-new"), broken)

    assert found == deleted


def test_a_pod_on_a_node_that_is_away_is_not_replaced():
    clock = Clock()
    clock.cluster.on("delete", lambda _: pytest.fail("the pod was deleted"))
    pods = [pod(), pod() | {"metadata": {**pod()["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}]
    for broken in pods:
        broken["metadata"]["labels"]["controller-revision-hash"] = "minio-old"
        clock.pass_(60, workload(updateRevision="minio-new"), broken, away=("n1",))


def test_the_last_line_of_the_log_of_what_runs_is_shown():
    clock = Clock()
    clock.cluster.on("logs minio-0 --namespace=flyte --container=minio --tail=1", "waiting for the disk\n")

    said = clock.pass_(15, workload(), pod(phase="Running", containerStatuses=[container(running={})]))

    assert said == [
        "waiting for statefulset/minio (10 s): minio-0 is Running and not ready yet; its log: waiting for the disk"
    ]


@pytest.mark.parametrize(
    ("objects", "away"),
    [([workload(), pod(**CREATING), PULLING], ()), ([workload(), pod()], ("n1",))],
)
def test_no_time_is_too_long_for_the_pulling_of_an_image_or_a_node_that_is_away(
    objects: list[Object], away: tuple[str, ...]
):
    clock = Clock()

    clock.pass_(10 * watch.PATIENCE, *objects, away=away)

    assert clock.interrupted == 0


def test_an_update_that_waits_in_vain_is_interrupted_once():
    clock, broken = Clock(), [workload(), pod(node="", **UNSCHEDULED)]

    clock.pass_(watch.PATIENCE - 60, *broken)
    assert clock.interrupted == 0
    said = clock.pass_(600, *broken)

    assert clock.interrupted == 1
    assert "statefulset/minio has not become ready within 30 minutes. Stopping here:" in said


def test_a_job_that_writes_to_its_log_is_not_interrupted():
    clock, lines = Clock(), iter(range(10**6))
    clock.cluster.on("logs", lambda _: f"user {next(lines)} is ready")

    clock.pass_(3 * watch.PATIENCE, workload(), pod(phase="Running", containerStatuses=[container(running={})]))

    assert clock.interrupted == 0


def test_an_update_waits_until_an_earlier_destroy_has_ended(capsys: pytest.CaptureFixture[str]):
    def namespace(name: str, **status: Any) -> Object:
        return {"metadata": {"name": name, "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": status}

    message = "Some resources are remaining: pods. has 1 resource instances"
    remaining = {"conditions": [{"type": "NamespaceContentRemaining", "status": "True", "message": message}]}
    answers = [[namespace("flyte", **remaining), namespace("other")], [namespace("other")]]
    cluster, slept = FakeCluster(), []
    cluster.on("get namespaces", lambda _: json.dumps({"items": answers[len(slept)]}))

    await_deletions(cluster, {"flyte", "remedy-development"}, slept.append)

    assert len(slept) == 1
    assert capsys.readouterr().out == f"waiting until an earlier destroy has ended: namespace/flyte: {message}\n"


def record(version: int, *objects: Object) -> Object:
    """Helm's record of a release."""
    content = {"manifest": yaml.safe_dump_all(objects)}
    release = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(content).encode()))).decode()
    return {"metadata": {"labels": {"version": str(version)}}, "data": {"release": release}}


def test_objects_that_are_missing_of_the_newest_release_are_recreated(capsys: pytest.CaptureFixture[str]):
    deployment, service, older = (
        {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
        for kind, name in (("Deployment", "flyte-binary"), ("Service", "flyte-binary-http"), ("ConfigMap", "older"))
    )
    cluster, created = FakeCluster(), []
    selector = "--selector=owner=helm,name=flyte-binary,status=deployed"
    cluster.on(f"get secrets {selector}", {"items": [record(9, older), record(10, deployment, service)]})
    cluster.on("get --filename=- --ignore-not-found", service)
    cluster.on("create --filename=- --namespace=flyte", lambda given: created.append(given) or "")

    restore_release(cluster, "flyte")

    assert list(yaml.safe_load_all(created[0])) == [deployment]
    assert capsys.readouterr().out == "Recreating what is missing of Flyte: deployment/flyte-binary\n"


def test_a_complete_release_and_no_release_are_left_alone(capsys: pytest.CaptureFixture[str]):
    cluster = FakeCluster()
    cluster.on("get secrets", {"items": []})
    restore_release(cluster, "flyte")

    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "flyte-binary-http"}}
    cluster.on("get secrets", {"items": [record(1, service)]})
    cluster.on("get --filename=-", service)
    restore_release(cluster, "flyte")

    assert capsys.readouterr().out == ""


def test_an_object_that_the_cluster_rejects_ends_in_one_message():
    cluster = FakeCluster()
    cluster.on("get secrets", {"items": [record(1, {"kind": "Service", "metadata": {"name": "x"}})]})
    cluster.on("get --filename=-", error="forbidden")

    with pytest.raises(SettingsError, match="Flyte's objects cannot be compared with Helm's record: forbidden"):
        restore_release(cluster, "flyte")

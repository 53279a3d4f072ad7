"""The doctor's checks of the cluster: each problem is reported with a command that fixes it."""

import base64
import json
import re
from typing import Any

import pytest

from ops.doctor import access
from ops.doctor.access import check_context, check_rights
from ops.doctor.check import Result
from ops.doctor.servers import check_ingress, check_jobs, check_namespaces, check_server
from ops.doctor.stack import Stack
from ops.doctor.volumes import check_volumes
from tests.conftest import UID
from tests.kubectl import FakeCluster, examined, settings, states
from tests.matrix import CASES, SETTINGS, recording

READY = {"readyReplicas": 1}


def workload(kind: str, name: str, status: Any = READY, replicas: int = 1, claim: str = "") -> dict[str, Any]:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}] if claim else []
    return {
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"spec": {"volumes": volumes}},
        },
        "status": status,
    }


def pod(name: str, app: str, **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"app": app}, "uid": "uid-1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"kind": "Pod", "metadata": metadata, "spec": {}, "status": {"phase": "Running", **status}}


def event(kind: str, name: str, message: str, at: str = "2026-01-01T00:00:00Z", uid: str = "uid-1") -> dict[str, Any]:
    return {
        "kind": "Event",
        "type": "Warning",
        "reason": "Unhappy",
        "message": message,
        "lastTimestamp": at,
        "involvedObject": {"kind": kind, "name": name, "uid": uid},
    }


def holding(*objects: dict[str, Any]) -> tuple[Stack, FakeCluster]:
    cluster = FakeCluster()
    cluster.on("get --namespace=flyte", {"items": list(objects)})
    return examined(cluster), cluster


def container(**state: Any) -> dict[str, Any]:
    return {"name": "minio", "image": "registry.home/silo:1", "state": {}, **state}


@pytest.mark.parametrize(
    ("status", "says", "remedy"),
    [
        (
            {"containerStatuses": [container(state={"waiting": {"reason": "ImagePullBackOff"}})]},
            "minio-0 cannot get its image registry.home/silo:1 (ImagePullBackOff)",
            "describe pod minio-0  # or set another image with flyte-home:images.*",
        ),
        (
            {
                "containerStatuses": [
                    container(
                        state={"waiting": {"reason": "CrashLoopBackOff"}},
                        lastState={"terminated": {"reason": "Error", "exitCode": 3}},
                    )
                ]
            },
            "minio-0 keeps exiting with code 3 (CrashLoopBackOff)",
            "logs minio-0 --container minio --previous --tail=40",
        ),
        (
            {
                "containerStatuses": [
                    container(
                        state={"waiting": {"reason": "CrashLoopBackOff"}},
                        lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
                    )
                ]
            },
            "minio-0 needs more memory than its limit (OOMKilled)",
            "pulumi config set --path flyte-home:minio.resources.limits.memory 2Gi --stack dev && make up STACK=dev",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "message": "0/1 nodes: insufficient memory"}
                ],
            },
            "minio-0 has no node (0/1 nodes: insufficient memory)",
            "describe pod minio-0",
        ),
        (
            {
                "initContainerStatuses": [
                    container(state={"waiting": {"reason": "CreateContainerConfigError", "message": "no secret x"}})
                ]
            },
            "minio-0: CreateContainerConfigError: no secret x",
            "describe pod minio-0",
        ),
        ({"phase": "Pending"}, "minio-0 is Pending and not ready yet", "describe pod minio-0"),
    ],
)
def test_the_reason_why_a_server_is_not_ready_is_reported(status: dict[str, Any], says: str, remedy: str):
    stack, _ = holding(workload("StatefulSet", "minio", {}), pod("minio-0", "minio", **status))

    (said,) = check_server(stack, "minio")

    assert said.state == "wrong"
    assert said.says == f"statefulset/minio is not ready: {says}"
    assert said.remedy.endswith(remedy)


def test_commands_name_context_and_namespace():
    stack, _ = holding(workload("StatefulSet", "minio", {}, replicas=0))

    (said,) = check_server(stack, "minio")

    assert said.says == "statefulset/minio is scaled to 0"
    assert said.remedy == (
        "kubectl --kubeconfig kubeconfig --context home --namespace flyte scale statefulset/minio --replicas=1"
    )


def test_the_newest_warnings_about_the_current_pod_are_shown():
    stack, _ = holding(
        workload("StatefulSet", "postgres", {}),
        pod("postgres-0", "postgres"),
        event("Pod", "postgres-0", "third", "2026-01-01T00:00:03Z"),
        event("Pod", "postgres-0", "first", "2026-01-01T00:00:01Z"),
        event("StatefulSet", "postgres", "second", "2026-01-01T00:00:02Z"),
        event("Pod", "postgres-0", "of the pod before it", "2026-01-01T00:00:04Z", "uid-0"),
        event("Pod", "minio-0", "another's", "2026-01-01T00:00:05Z", "uid-2"),
    )

    (said,) = check_server(stack, "postgres")

    assert said.says.endswith("; Unhappy: second; Unhappy: third")


def test_a_server_without_a_pod_shows_why_none_was_created():
    stack, _ = holding(
        workload("Deployment", "flyte-binary", {}), event("ReplicaSet", "flyte-binary-5c8", "exceeded quota")
    )

    (said,) = check_server(stack, "flyte")

    assert said.says == "deployment/flyte-binary is not ready: it has no pod; Unhappy: exceeded quota"


def test_a_missing_server_is_fixed_with_up():
    (said,) = check_server(holding()[0], "postgres")

    assert (said.says, said.remedy) == ("statefulset/postgres is not in the namespace flyte", "make up STACK=dev")


def test_a_ready_server_that_was_killed_for_its_memory_gets_a_remark():
    killed = container(lastState={"terminated": {"reason": "OOMKilled"}})
    stack, _ = holding(workload("StatefulSet", "minio"), pod("minio-0", "minio", containerStatuses=[killed]))

    assert states(list(check_server(stack, "minio"))) == ["remark", "ok"]


def test_a_failed_job_is_reported_with_its_log_and_how_to_run_it_again():
    job = {
        "kind": "Job",
        "metadata": {"name": "minio-provision-1"},
        "status": {"conditions": [{"type": "Failed", "status": "True", "message": "too many retries"}]},
    }
    done = {
        "kind": "Job",
        "metadata": {"name": "other"},
        "status": {"conditions": [{"type": "Complete", "status": "True"}]},
    }

    (said,) = check_jobs(holding(job, done)[0])

    assert said.says == "job/minio-provision-1 has failed: too many retries"
    assert "logs job/minio-provision-1" in said.remedy
    assert said.remedy.endswith("# shows why; then\nmake up STACK=dev")
    assert states(list(check_jobs(holding(done)[0]))) == ["ok"]


def test_missing_and_terminating_namespaces_are_reported():
    def namespace(name: str, phase: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "status": {"phase": phase}}

    cluster = FakeCluster()
    stack = examined(cluster, domains=["development", "staging", "production"])
    cluster.on("get namespace", {"items": [namespace("remedy-development", "Terminating")]})
    assert [one.says for one in check_namespaces(stack)] == [
        "there is no namespace remedy-staging, remedy-production",
        "the namespace remedy-development is being deleted",
    ]

    stack = examined(cluster)
    cluster.on(
        "get namespace", namespace("remedy-development", "Active")
    )  # kubectl prints a single object without a list
    assert states(list(check_namespaces(stack))) == ["ok"]
    cluster.on("get namespace", "")
    assert states(list(check_namespaces(stack))) == ["wrong"]


def volumes(phase: str = "Bound", full: int = 10, storage_class: str = "local-path", there: bool = True) -> list[Any]:
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "postgres-data"},
        "spec": {"storageClassName": storage_class},
        "status": {"phase": phase},
    }
    stack, cluster = holding(
        workload("StatefulSet", "postgres", claim="postgres-data"),
        *([claim] if there else []),
        event("PersistentVolumeClaim", "postgres-data", "no volume plugin"),
    )
    cluster.on("exec postgres-0 df", f"Filesystem 1024-blocks Used Available Capacity\n/dev/sda 1 1 1 {full}% /data\n")
    cluster.on("get storageclasses", {"items": [{"metadata": {"name": "local-path"}}]})
    return list(check_volumes(stack))


@pytest.mark.parametrize(("full", "state"), [(10, "ok"), (84, "ok"), (85, "remark"), (94, "remark"), (95, "wrong")])
def test_a_volume_gets_a_remark_when_it_fills_up_and_is_wrong_before_it_is_full(full: int, state: str):
    (said,) = volumes(full=full)

    assert said.state == state
    assert f"{full} %" in said.says


def test_an_unbound_volume_is_reported_with_the_reason():
    (said,) = volumes("Pending")
    assert said.says == "the volume postgres-data is Pending; Unhappy: no volume plugin"
    (said,) = volumes("Pending", storage_class="fast")
    assert "the cluster does not have the storage class 'fast'; it has local-path" in said.says
    (said,) = volumes("Pending", storage_class="")
    assert "the cluster does not have a default storage class" in said.says


def test_the_fix_for_a_missing_volume_warns_that_it_is_recreated_empty():
    (said,) = volumes(there=False)

    assert said.says == "the volume postgres-data of postgres is missing"
    assert "empty" in said.remedy


# --- the cluster itself -------------------------------------------------------------------------------------------


def versions(client: str, server: str) -> dict[str, Any]:
    return {"clientVersion": {"minor": client}, "serverVersion": {"minor": server}}


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [("34", "34", ["ok"]), ("33", "34+", ["ok"]), ("32", "34", ["remark", "ok"]), ("36", "34", ["remark", "ok"])],
)
def test_a_kubectl_too_far_from_the_servers_version_gets_a_remark(
    kubectl_program: Any, client: str, server: str, expected: list[str]
):
    kubectl_program.on("kube-system", UID)
    kubectl_program.on("version", json.dumps(versions(client, server)))

    assert states(list(check_context(examined()))) == expected


def test_the_message_names_a_context_that_no_kubeconfig_has(kubectl_program: Any):
    (said,) = check_context(examined(context="typo"))

    assert said.state == "wrong"
    assert "no context 'typo'; it has 'home'" in said.says


def reviewed(denied: str) -> Any:
    """Answer the reviews and deny one resource, with one document for each review, as kubectl prints them."""

    def answer(given: str) -> str:
        return "\n".join(
            json.dumps({**review, "status": {"allowed": review["spec"]["resourceAttributes"]["resource"] != denied}})
            for review in json.loads(given)["items"]
        )

    return answer


def test_missing_rights_are_listed_after_a_single_request():
    cluster = FakeCluster()
    cluster.on("create", reviewed("networkpolicies"))

    (said,) = check_rights(examined(cluster))

    assert said.state == "wrong"
    assert "create networkpolicies.networking.k8s.io, patch networkpolicies.networking.k8s.io" in said.says
    assert "secrets" not in said.says

    cluster.on("create", reviewed("nothing"))
    assert states(list(check_rights(examined(cluster)))) == ["ok"]
    cluster.on("create", error="the server is away")
    assert states(list(check_rights(examined(cluster)))) == ["wrong"]


@pytest.mark.parametrize("case", CASES)
def test_the_checked_rights_cover_everything_the_program_creates(case: str):
    kinds = {found.kind.lower() for found in recording(case).resources if found.is_manifest}
    plurals = {re.sub("ys$", "ies", re.sub("sss$", "sses", f"{kind}s")) for kind in kinds}
    given = SETTINGS.get(case, {})
    database = {name: given[name] for name in ("postgres", "postgresPassword", "postgresArchiveKey") if name in given}
    chosen = settings(monitoring=given.get("monitoring", {}), **database)
    asked = {plural for resources in access.kinds_of_up(chosen).values() for plural in resources.split()}

    assert plurals <= asked


def test_task_secrets_are_read_once_for_each_namespace():
    cluster = FakeCluster()
    value = base64.b64encode(b"planted").decode()
    secret = {"metadata": {"name": "tidal-creds"}, "data": {"json": value}}
    cluster.on("get secret --namespace=remedy-development", {"items": [secret]})
    stack = examined(cluster)

    assert stack.kept_secrets == {"remedy-development": {"tidal-creds": {"json": "planted"}}}
    cluster.on("get secret --namespace=remedy-development", {"items": []})
    assert stack.kept_secrets["remedy-development"]["tidal-creds"]["json"] == "planted"
    assert "planted" not in repr(stack)


def test_an_ingress_without_its_certificate_is_wrong():
    hosts = {"console": "flyte.home.example", "objectStore": "s3.home.example"}

    def found(secret: str, tls: dict[str, str], *names: str) -> list[Result]:
        cluster = FakeCluster()
        ways = [
            {
                "kind": "Ingress",
                "metadata": {"name": f"flyte-{name}"},
                "spec": {
                    "rules": [{"host": "flyte.home.example"}],
                    "tls": [{"hosts": ["flyte.home.example"], "secretName": "home-tls"}],
                },
            }
            for name in names
        ]
        cluster.on("get --namespace=flyte", {"items": ways})
        cluster.on("get secret home-tls", secret)
        ingress = {"controller": "traefik", "hosts": hosts, "tls": tls, "withoutLogin": {"reason": "a test"}}
        return list(check_ingress(examined(cluster, ingress=ingress)))

    all_three = ("console", "grpc", "object-store")
    assert states(found("secret/home-tls", {"secret": "home-tls"}, *all_three)) == ["ok"]
    (given,) = found("", {"secret": "home-tls"}, *all_three)
    assert "the certificate for flyte.home.example is missing: no Secret home-tls in flyte" in given.says
    assert "create secret tls home-tls --cert=tls.crt --key=tls.key" in given.remedy
    (issued,) = found("", {"issuer": "home"}, *all_three)
    assert "describe certificate home-tls" in issued.remedy
    (missing,) = found("secret/home-tls", {}, "console")
    assert missing.says == "ingress/flyte-grpc, ingress/flyte-object-store is not in flyte"

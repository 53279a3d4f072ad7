"""The doctor's check of what pods can reach: what the settings say, what was seen, and the pods that look."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ops.doctor import probes
from ops.doctor.check import Result
from ops.doctor.expectations import FILES, Surroundings, review, sources, strictest
from ops.doctor.isolation import check_isolation, judged
from ops.doctor.probes import Attempt, Probes, Seen, Source, Tried
from ops.doctor.stack import Stack
from settings.placement import Placement
from tests.conftest import run
from tests.kubectl import FakeCluster, examined, settings, states
from tests.network import PLACES, Place, allowed, policies_of

NODE, OTHER_NODE, API_SERVER = "192.168.1.11", "192.168.1.12", "192.168.1.10"
AROUND = Surroundings(
    services={
        "postgres": PLACES["postgres"].address,
        "minio": PLACES["minio"].address,
        **{f"flyte-binary-{name}": PLACES["flyte"].address for name in ("http", "grpc")},
        "flyte-webhook-1": PLACES["webhook"].address,
    },
    nodes=[NODE, OTHER_NODE],
    api_servers=[API_SERVER],
    webhook="flyte-webhook-1",
    webhook_path="/mutate--v1-pod",
)
TASK, FOREIGN = "a task in remedy-development", "a pod of another namespace"
DATABASE_FILE, _, TOKEN_FILE = (review(*file) for file in FILES.values())


def found(
    *unexpected: tuple[str, str],
    details: Mapping[str, str] | None = None,
    around: Surroundings = AROUND,
    problems: Mapping[str, str] | None = None,
    everything_open: bool = False,
    **changed: Any,
) -> list[Result]:
    """The results when the probes have seen what the settings say.

    Args:
        unexpected: sources and targets of the connections that were different: open for closed, and the reverse.
        details: what was answered, by path, or by the body of a review.
        around: addresses and policies of the cluster.
        problems: why a source was not tried, by its name.
        everything_open: whether every connection was made.
        changed: settings.
    """
    stack = examined(**changed)
    tried = []
    for source in sources(stack.settings, strictest(stack.settings.task_scopes), around):
        seen = {}
        for number, attempt in enumerate(source.attempts):
            usual = attempt.expected == "open" or (attempt.expected == "either" and attempt.listens)
            is_open = everything_open or usual ^ ((source.what, attempt.what) in unexpected)
            detail = (details or {}).get(
                attempt.body or attempt.path, {"http": "403", "webhook": "nothing"}.get(attempt.how, "")
            )
            seen[number] = Seen("open", detail) if is_open else Seen("silent")
        problem = (problems or {}).get(source.what, "")
        tried.append(Tried(source, {} if problem else seen, NODE, problem))
    return list(judged(stack, around, tried))


def test_what_is_open_and_closed_as_the_settings_say_is_fine():
    (said,) = found()

    assert said.state == "ok"
    assert said.says == (
        "a task in remedy-development reaches DNS and the object store, not the database, Flyte's HTTP API, Flyte's "
        "gRPC API, port 10254 of Flyte, the secrets webhook and the API server; closed, or nothing there: "
        "169.254.169.254, the node 192.168.1.11 and the node 192.168.1.12; a pod of another namespace reaches DNS, the "
        "secrets webhook and the API server, not the database, the object store, Flyte's HTTP API, Flyte's gRPC API "
        "and port 10254 of Flyte; closed, or nothing there: 169.254.169.254, the node 192.168.1.11 and the node "
        "192.168.1.12"
    )


def test_silence_is_proof_if_the_other_pod_was_answered():
    (said,) = found((FOREIGN, f"the node {OTHER_NODE}"), (FOREIGN, "169.254.169.254"))

    task = said.says.split(FOREIGN)[0]
    assert task.endswith(
        "the API server, 169.254.169.254 and the node 192.168.1.12; closed, or nothing there: the node 192.168.1.11; "
    )


def test_a_plugin_that_enforces_nothing_is_one_finding_with_the_plugins_that_do():
    (said,) = found(everything_open=True)

    assert said.state == "wrong"
    assert said.says.startswith(
        "the cluster's network plugin enforces no network policies (flannel alone does not): a task in "
        "remedy-development reaches the database, Flyte's HTTP API, Flyte's gRPC API, port 10254 of Flyte, "
    )
    assert "a pod of another namespace reaches the database, the object store" in said.says
    assert "Calico, Cilium or kube-router" in said.remedy
    assert "network.enabled false --stack dev && make up STACK=dev" in said.remedy


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (TASK, "the database"),
        (TASK, "Flyte's HTTP API"),
        (TASK, "port 10254 of Flyte"),
        (TASK, "the secrets webhook"),
        (TASK, "the API server"),
        (TASK, "169.254.169.254"),
        (TASK, f"the node {OTHER_NODE}"),
        (FOREIGN, "the database"),
        (FOREIGN, "the object store"),
        (FOREIGN, "Flyte's gRPC API"),
    ],
)
def test_what_the_settings_close_and_a_pod_reaches_is_wrong(source: str, target: str):
    (said,) = found((source, target))

    assert said.state == "wrong"
    assert said.says == f"{source} reaches {target}, which the settings close"
    assert "get networkpolicies --all-namespaces" in said.remedy
    assert said.remedy.endswith("make up STACK=dev")


def test_a_missing_policy_is_named_instead_of_the_plugin():
    (said,) = found(around=replace(AROUND, unprotected=["flyte"]), everything_open=True)

    assert said.state == "wrong"
    assert said.says.startswith("the network policy default-deny is missing in flyte: a task in remedy-development")
    assert said.remedy == "make up STACK=dev"


def test_a_pod_may_reach_its_own_node_which_plugins_exempt_from_policies():
    said = found((TASK, f"the node {NODE}"))

    assert states(said) == ["remark", "ok"]
    assert said[0].says.startswith("a task in remedy-development reaches the node 192.168.1.11: many network plugins")
    on_the_node = replace(AROUND, api_servers=[NODE])
    assert states(found((TASK, "the API server"), around=on_the_node)) == ["remark", "ok"]


@pytest.mark.parametrize("target", ["the object store", "DNS", "Flyte's gRPC API"])
def test_what_the_settings_open_and_a_task_does_not_reach_is_wrong(target: str):
    (said,) = found((TASK, target), **project(egress={"flyte": True}))

    assert said.state == "wrong"
    assert said.says.startswith(f"a task in remedy-development does not reach {target}, which the settings open")
    assert said.says.endswith("so what it finds closed proves nothing") is (target != "Flyte's gRPC API")


def test_a_pod_without_any_network_proves_nothing():
    said = found((FOREIGN, "DNS"), (FOREIGN, "the API server"))

    assert states(said) == ["remark", "ok"]
    assert said[0].says == (
        "a pod of another namespace does not even reach DNS and the API server, so what it finds closed proves nothing"
    )
    assert states(found((FOREIGN, "DNS"))) == ["ok"]


def test_a_stack_without_policies_gets_a_remark():
    said = found(network={"enabled": False}, everything_open=True)

    assert states(said) == ["remark", "ok"]
    assert said[0].says == "flyte-home:network.enabled is false, so every pod of the cluster reaches all of the stack"
    assert "network.enabled true --stack dev" in said[0].remedy


# --- what servers answer ------------------------------------------------------------------------------------------


def test_a_webhook_that_returns_a_credential_is_wrong_even_if_every_connection_is_as_it_should_be():
    (said,) = found(details={DATABASE_FILE: "content", TOKEN_FILE: "content"})

    assert said.state == "wrong"
    assert said.says == (
        "the secrets webhook returns the password of the database and the token of its service account to a pod of "
        "another namespace"
    )


def test_a_webhook_that_returns_only_its_own_token_gets_a_remark():
    said = found(details={TOKEN_FILE: "content"})

    assert states(said) == ["remark", "ok"]
    assert "auth can-i --list --as=system:serviceaccount:flyte:NAME" in said[0].remedy


@pytest.mark.parametrize(("detail", "why"), [("untested", "no openssl"), ("unknown", "not that of an admission")])
def test_a_webhook_whose_answer_could_not_be_tested_gets_a_remark(detail: str, why: str):
    said = found(details={DATABASE_FILE: detail})

    assert states(said) == ["remark", "ok"]
    assert why in said[0].says


def test_a_port_that_shows_the_configuration_is_wrong():
    said = found((TASK, "port 10254 of Flyte"), details={"/config": "200"})

    assert said[0].says.startswith("port 10254 of Flyte shows Flyte's configuration, with its credentials")
    assert states(found((TASK, "port 10254 of Flyte"), details={"/config": "404"})) == ["wrong"]


def test_a_bucket_that_opens_without_a_key_is_wrong():
    (said,) = found(details={"/remedy-development/": "200"})

    assert said.state == "wrong"
    assert said.says == "the object store answers without a key: /remedy-development/"


def test_what_could_not_be_tried_is_skipped_with_the_reason():
    quota = "the probe cannot be created: pods is forbidden: exceeded quota: flyte-task"
    said = found(problems={TASK: quota, FOREIGN: "the probe cannot be created: namespaces is forbidden"})

    assert states(said) == ["skipped", "skipped"]
    assert said[0].says == f"what a task in remedy-development reaches is unknown: {quota}"
    assert said[0].remedy.endswith("describe quota --namespace remedy-development")
    assert said[1].remedy.endswith("auth can-i --list")
    assert states(found(problems={FOREIGN: "no node"})) == ["skipped", "ok"]


# --- what the settings say ----------------------------------------------------------------------------------------


def project(**more: Any) -> dict[str, Any]:
    return {"projects": [{"name": "remedy", "taskSecrets": ["tidal-creds"], **more}]}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        project(egress={"flyte": True}),
        project(egress={"internet": False, "flyte": True}),
        project(egress={"networks": ["192.168.1.0/24"]}),
        {"network": {"clients": ["remedy-development"]}},
        {"network": {"clients": ["remedy-development"]}, **project(egress={"flyte": True})},
        project(serviceAccountToken=True),
    ],
    ids=json.dumps,
)
def test_the_expectations_are_those_of_the_policies(changed: dict[str, Any]):
    policies = policies_of(run(**{"domains": ["development"], **changed}))
    chosen = settings(**changed)
    task, foreign = sources(chosen, strictest(chosen.task_scopes), AROUND)
    pods = {PLACES[name].address: PLACES[name] for name in ("postgres", "minio", "flyte", "webhook")}

    for source, place in ((task, PLACES["task"]), (foreign, Place("10.42.0.99", "flyte-doctor-1"))):
        for attempt in source.attempts:
            if attempt.what == "DNS" or attempt.expected == "either":
                continue
            host, port = (API_SERVER, 6443) if attempt.host == "api-server" else (attempt.host, attempt.port)
            target = pods.get(host, Place(host))
            assert (attempt.expected == "open") == allowed(policies, place, target, port), attempt


def test_namespaces_of_the_stack_have_the_policy_that_the_check_looks_for():
    denied = {
        policy["metadata"]["namespace"] for policy in policies_of(run()) if policy["metadata"]["name"] == "default-deny"
    }

    assert denied == {"flyte", "remedy-development", "remedy-staging", "remedy-production"}


def test_an_address_that_the_settings_open_may_be_open():
    chosen = settings(**project(egress={"networks": ["192.168.1.0/24"]}))
    task, _ = sources(chosen, chosen.task_scopes[0], replace(AROUND, nodes=[NODE, "8.8.4.4"]))
    expected = {attempt.what: attempt.expected for attempt in task.attempts}

    assert expected[f"the node {NODE}"] == expected["the node 8.8.4.4"] == expected["the API server"] == "either"
    assert expected["169.254.169.254"] == "closed"


def test_the_task_comes_from_the_project_whose_settings_close_most():
    projects = [
        {"name": "first", "egress": {"networks": ["192.168.1.20/32"]}},
        {"name": "second", "egress": {"flyte": False, "internet": False}},
        {"name": "third", "serviceAccountToken": True, "egress": {"internet": False}},
    ]

    assert strictest(settings(projects=projects, tidalCreds=None).task_scopes).project == "second"


# --- the pods -----------------------------------------------------------------------------------------------------

ATTEMPT = Attempt("the database", "tcp", "10.42.0.2", 5432, "closed")
NOW = "2026-11-21T12:00:00Z"


def source(namespace: str = "remedy-development") -> Source:
    placement = Placement.model_validate({"nodeSelector": {"disk": "ssd"}})
    return Source(TASK, namespace, 1000, placement, [ATTEMPT, replace(ATTEMPT, port=9000)])


class Kubectl:
    """A cluster that starts pods, which end with this message or are in this state."""

    def __init__(self, message: str = "0 silent\n1 open 403\n", **status: Any) -> None:
        self.created: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        ended = {"state": {"terminated": {"message": message, "reason": "Completed", "exitCode": 0}}}
        self.cluster = FakeCluster()
        self.cluster.on("create --filename=-", self._create)
        self.cluster.on("get pod", {"status": {"hostIP": NODE, "containerStatuses": [ended], **status}})
        self.cluster.on("get namespaces,pods", {"items": []})
        self.cluster.on("delete --filename=- --wait=false", self._delete)

    def _create(self, given: str) -> str:
        items = json.loads(given)["items"]
        self.created += items
        for item in items:
            item["metadata"]["creationTimestamp"] = NOW
        return "\n".join(map(json.dumps, items))

    def _delete(self, given: str) -> str:
        content = json.loads(given)
        self.deleted += [f"{item['kind']} {item['metadata']['name']}" for item in content.get("items", [content])]
        return ""

    def run(self, *wanted: Source) -> list[Tried]:
        with Probes() as running:
            return running.run(self.cluster, "postgres:17", "node-1", wanted)


def test_a_probe_returns_what_its_pod_has_seen_and_its_pod_is_deleted():
    kubectl = Kubectl()
    (tried,) = kubectl.run(source())

    assert tried.problem == ""
    assert tried.node == NODE
    assert [seen for _, seen in tried.all()] == [Seen("silent"), Seen("open", "403")]
    (pod,) = kubectl.created
    assert kubectl.deleted == [f"Pod {pod['metadata']['name']}"]


def test_the_pod_is_restricted_and_ends_by_itself():
    kubectl = Kubectl()
    kubectl.run(source())
    (pod,) = kubectl.created
    spec, (container,) = pod["spec"], pod["spec"]["containers"]

    assert pod["metadata"]["labels"] == {"flyte-home/doctor": "probe"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["activeDeadlineSeconds"] < 60
    assert spec["restartPolicy"] == "Never"
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}  # a quota asks for both
    attempts = next(one["value"] for one in container["env"] if one["name"] == "ATTEMPTS")
    assert attempts.splitlines() == ["0 closed tcp 10.42.0.2 5432", "1 closed tcp 10.42.0.2 9000"]


def test_a_pod_of_no_namespace_gets_one_of_its_own_which_is_deleted_with_it():
    kubectl = Kubectl()
    kubectl.run(source(""))
    namespace, account, pod = kubectl.created

    assert namespace["metadata"]["name"].startswith("flyte-doctor-")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert account["metadata"]["namespace"] == pod["metadata"]["namespace"] == namespace["metadata"]["name"]
    assert kubectl.deleted == [f"Namespace {namespace['metadata']['name']}"]


def test_a_pod_that_is_not_admitted_is_a_problem_of_its_own_source_only():
    kubectl = Kubectl()
    kubectl.cluster.on("create --filename=-", error="namespaces is forbidden")
    (tried,) = kubectl.run(source(""))

    assert tried.problem == "the probe cannot be created: namespaces is forbidden"
    assert len(kubectl.deleted) == 1  # the namespace may have been created before the pod was rejected


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
            "does not get its image, that of the database (ErrImagePull)",
        ),
        (
            {
                "containerStatuses": [],
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}],
            },
            "had no result within 0 s: it has no node (0/1 nodes are available)",
        ),
        ({"containerStatuses": [], "phase": "Pending"}, "had no result within 0 s: Pending"),
    ],
)
def test_a_pod_that_does_not_run_is_a_problem_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, status: dict[str, Any], problem: str
):
    monkeypatch.setattr(probes, "_PATIENCE", 0)
    kubectl = Kubectl(**status)
    (tried,) = kubectl.run(source())

    assert tried.problem == f"the probe {problem}"
    assert len(kubectl.deleted) == 1


def test_a_pod_that_ends_early_or_disappears_is_a_problem():
    (tried,) = Kubectl("0 silent\n").run(source())
    assert tried.problem == "the probe ended without all of its results (Completed, exit code 0)"
    kubectl = Kubectl()
    kubectl.cluster.on("get pod", error="not found")
    (tried,) = kubectl.run(source())
    assert tried.problem == "the probe cannot be read: not found"


def test_probes_of_a_killed_doctor_are_deleted_and_those_of_a_running_one_are_not():
    kubectl = Kubectl()
    left = [
        ("Namespace", {"name": "flyte-doctor-old", "creationTimestamp": "2026-11-21T11:00:00Z"}),
        ("Namespace", {"name": "flyte-doctor-new", "creationTimestamp": "2026-11-21T11:59:30Z"}),
        ("Pod", {"name": "old", "namespace": "remedy-development", "creationTimestamp": "2026-11-20T12:00:00Z"}),
        (
            "Namespace",
            {"name": "going", "creationTimestamp": "2026-11-20T12:00:00Z", "deletionTimestamp": "2026-11-20T12:01:00Z"},
        ),
    ]
    items = [{"kind": kind, "metadata": metadata} for kind, metadata in left]
    kubectl.cluster.on("get namespaces,pods --selector=flyte-home/doctor", {"items": items})
    kubectl.run(source())

    assert kubectl.deleted[:2] == ["Namespace flyte-doctor-old", "Pod old"]
    assert len(kubectl.deleted) == 3


def test_nothing_is_created_after_the_doctor_was_stopped():
    kubectl = Kubectl()
    with Probes() as running:
        pass
    (tried,) = running.run(kubectl.cluster, "postgres:17", "", [source()])

    assert tried.problem == "the doctor was stopped"
    assert kubectl.created == []


def test_a_doctor_that_is_stopped_deletes_the_pod_that_is_running():
    kubectl = Kubectl(containerStatuses=[])
    with Probes() as running:
        threading.Thread(target=running.run, args=(kubectl.cluster, "postgres:17", "", [source()]), daemon=True).start()
        while not kubectl.created:
            time.sleep(0.01)

    assert len(kubectl.deleted) == 1


# --- the whole check ----------------------------------------------------------------------------------------------


def surrounded(kubectl: Kubectl) -> Stack:
    """A stack whose cluster has everything that the check asks for."""

    def behind(service: str, address: str, ready: bool = True) -> dict[str, Any]:
        labels = {"kubernetes.io/service-name": service}
        return {
            "metadata": {"labels": labels},
            "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
        }

    cluster = kubectl.cluster
    services = [behind(service, address) for service, address in AROUND.services.items()]
    cluster.on(
        "get endpointslices --namespace=flyte",
        {"items": [behind("postgres", "10.42.9.9", False), *services, {"metadata": {}, "endpoints": None}]},
    )
    cluster.on("get endpointslices --namespace=default", {"items": [behind("kubernetes", API_SERVER)]})
    deny = {"items": [{"metadata": {"name": "default-deny"}}]}
    cluster.on("get networkpolicies", deny)
    addresses = [{"type": "InternalIP", "address": NODE}, {"type": "Hostname", "address": "node-1"}]
    cluster.on("get nodes", {"items": [{"status": {"addresses": addresses}}]})
    hook = {"sideEffects": "None", "clientConfig": {"service": {"path": "/mutate--v1-pod"}}}
    cluster.on("get mutatingwebhookconfiguration", {"webhooks": [hook]})
    database = {
        "kind": "Pod",
        "metadata": {"name": "postgres-0"},
        "spec": {"nodeName": "node-7"},
        "status": {"hostIP": OTHER_NODE},
    }
    cluster.on("get statefulsets,deployments,pods,jobs,persistentvolumeclaims,ingresses,events", {"items": [database]})
    return examined(cluster)


def lines_for(**opened: str) -> str:
    return "".join(f"{number} {opened.get(f'n{number}', 'silent')}\n" for number in range(20))


def test_the_check_tries_the_addresses_of_the_cluster_and_judges_what_was_seen():
    kubectl = Kubectl(lines_for(n0="open", n2="open 403", n6="open"))
    stack = surrounded(kubectl)
    with Probes() as running:
        said = list(check_isolation(stack, running))

    pods = [one for one in kubectl.created if one["kind"] == "Pod"]
    assert [pod["metadata"]["namespace"] == "remedy-development" for pod in pods].count(True) == 1
    tried = {pod["metadata"]["namespace"]: pod["spec"]["containers"][0]["env"][0]["value"] for pod in pods}
    assert "http 10.42.0.3 9000 /remedy-development/" in tried["remedy-development"]
    assert "10.42.9.9" not in tried["remedy-development"]
    preferred = pods[0]["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred[0]["preference"]["matchFields"][0]["values"] == ["node-7"]
    assert said


def test_the_check_is_skipped_if_the_user_may_not_read_the_addresses():
    kubectl = Kubectl()
    stack = surrounded(kubectl)
    kubectl.cluster.on("get endpointslices", error="endpointslices is forbidden")
    with Probes() as running:
        (said,) = check_isolation(stack, running)

    assert said.state == "skipped"
    assert said.says.endswith("endpointslices is forbidden")
    assert kubectl.created == []


def test_what_the_user_may_not_read_besides_is_left_out():
    kubectl = Kubectl(lines_for())
    stack = surrounded(kubectl)
    for kind in ("networkpolicies", "nodes", "mutatingwebhookconfiguration", "endpointslices --namespace=default"):
        kubectl.cluster.on(f"get {kind}", error="forbidden")
    with Probes() as running:
        said = list(check_isolation(stack, running))

    assert not [one for one in said if "missing" in one.says]
    (pod, *_) = [one for one in kubectl.created if one["kind"] == "Pod"]
    assert "/mutate--v1-pod" in pod["spec"]["containers"][0]["env"][0]["value"]


def test_the_check_uses_the_nodes_of_the_stack_if_the_user_may_not_list_nodes():
    kubectl = Kubectl(lines_for())
    stack = surrounded(kubectl)
    kubectl.cluster.on("get nodes", error="nodes is forbidden")
    kubectl.cluster.on("get networkpolicies --namespace=remedy-development", {"items": []})
    with Probes() as running:
        said = list(check_isolation(stack, running))

    (pod, *_) = [one for one in kubectl.created if one["kind"] == "Pod"]
    assert f"tcp {OTHER_NODE} 10250" in pod["spec"]["containers"][0]["env"][0]["value"]
    assert any("default-deny is missing in remedy-development" in one.says for one in said)

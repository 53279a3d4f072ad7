"""What a pod in a task namespace may be: the admission policy on a real API server, tried by dry runs."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api_server import ApiServer, api_server
from tests.conftest import run
from tests.matrix import objects
from tests.processes import wait_until

PLAIN, WIDE, ROOT = "plain-development", "wide-development", "root-development"
PROJECTS = [
    {"name": "plain", "taskSecrets": ["tidal-creds"]},
    {
        "name": "wide",
        "existingSecrets": ["of-the-operator"],
        "serviceAccountToken": True,
        "serviceAccounts": ["reader"],
        "volumeTypes": ["nfs", "ephemeral"],
    },
    {"name": "root", "podSecurity": {"enforce": "privileged", "reason": "writes to a tape drive"}, "runAsUser": 0},
]
ALLOWED = ""


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    recorded = run(projects=PROJECTS, domains=["development"], tasks={"priorityClasses": ["home-default"]})
    found = list(objects(recorded).values())
    with api_server() as started:
        started.make_namespaces(manifest for manifest in found if manifest["kind"] == "Namespace")
        policies = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
        roles = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
        assert started.apply([one for one in found if one["kind"] in (*policies, *roles)], dry_run=False) == []
        for name in ("reader", "other"):
            account = {"apiVersion": "v1", "kind": "ServiceAccount"}
            places = [{"name": name, "namespace": namespace} for namespace in (PLAIN, WIDE)]
            assert started.apply([{**account, "metadata": place} for place in places], dry_run=False) == []
        for name in ("home-default", "other"):
            kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
            assert started.apply([{**kind, "metadata": {"name": name}, "value": 10}], dry_run=False) == []
        wait_until(lambda: said(started, PLAIN, {"nodeName": "any"}) != ALLOWED, "the policy", 30)
        yield started


def said(server: ApiServer, namespace: str, spec: dict[str, Any], container: dict[str, Any] | None = None) -> str:
    """What the server says about a task pod with these fields; empty if it accepts the pod."""
    base: dict[str, Any] = {
        "serviceAccountName": "flyte-task",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "task",
                "image": "image:1",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                **(container or {}),
            }
        ],
    }
    metadata = {"name": "task", "namespace": namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**base, **spec}}
    return " ".join(line for line in server.create([pod]) if not line.startswith("Warning:"))


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "data", **source}]}


def environment(name: str) -> dict[str, Any]:
    return {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "json"}}}]}


TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "vault"}}]}}
CLAIM = {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {}}}}
CLAIM["volumeClaimTemplate"]["spec"]["resources"] = {"requests": {"storage": "1Gi"}}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        volume(emptyDir={}),
        volume(emptyDir={"medium": "Memory"}),
        volume(configMap={"name": "any"}),
        volume(downwardAPI={"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}),
        volume(persistentVolumeClaim={"claimName": "models"}),
        volume(secret={"secretName": "tidal-creds"}),
        volume(projected={"sources": [{"secret": {"name": "flyte-object-store"}}, {"configMap": {"name": "any"}}]}),
        {"priorityClassName": "home-default"},
        {"nodeSelector": {"disk": "fast"}, "tolerations": [{"operator": "Exists"}]},
    ],
)
def test_pods_of_ordinary_tasks_are_accepted(server: ApiServer, spec: dict[str, Any]):
    assert said(server, PLAIN, spec) == ALLOWED


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (volume(secret={"secretName": "of-another"}), "the project has no Secret of-another; name it in"),
        (volume(projected={"sources": [{"secret": {"name": "of-another"}}]}), "has no Secret of-another"),
        (
            volume(nfs={"server": "192.168.1.20", "path": "/"}),
            "a volume of a type that the project does not have: data",
        ),
        (volume(iscsi={"targetPortal": "192.168.1.20", "iqn": "iqn.2001-04.com.example:a", "lun": 0}), "a volume of a"),
        (volume(csi={"driver": "any"}), "a volume of a type"),
        (volume(ephemeral=CLAIM), "a volume of a type"),
        (volume(fc={"targetWWNs": ["500a0982991b8dc5"], "lun": 0}), "a volume of a type"),
        (volume(cephfs={"monitors": ["192.168.1.20"]}), "a volume of a type"),
        (volume(rbd={"monitors": ["192.168.1.20"], "image": "a"}), "a volume of a type"),
        (volume(gitRepo={"repository": "https://example.com/a"}), "a volume of a type"),
        (volume(**TOKEN), "it has a service account token; set flyte-home:projects[].serviceAccountToken"),
        ({"automountServiceAccountToken": True}, "it has a service account token"),
        (
            volume(projected={"sources": [{"clusterTrustBundle": {"name": "a", "path": "a"}}]}),
            "a projected volume of a",
        ),
        ({"serviceAccountName": "reader"}, "it has the service account reader"),
        ({"serviceAccountName": "default"}, "it has the service account default"),
        ({"priorityClassName": "system-node-critical"}, "it has the priority class system-node-critical"),
        ({"priorityClassName": "other"}, "it has the priority class other"),
        ({"nodeName": "any"}, "it names its node"),
        (volume(hostPath={"path": "/"}), "forbidden"),
        ({"hostNetwork": True}, "forbidden"),
    ],
)
def test_pods_that_reach_further_are_rejected_with_the_remedy(server: ApiServer, spec: dict[str, Any], message: str):
    assert message in said(server, PLAIN, spec)


@pytest.mark.parametrize(
    ("container", "message"),
    [
        (environment("of-another"), "the project has no Secret of-another"),
        ({"envFrom": [{"secretRef": {"name": "of-another"}}]}, "the project has no Secret of-another"),
        # What the webhook makes of the group ../flyte/config.d.
        (environment("../flyte/config.d"), "../flyte/config.d"),
        ({"securityContext": {}}, "a container does not set allowPrivilegeEscalation: false"),
        ({"securityContext": {"allowPrivilegeEscalation": True}}, "a container does not set allowPrivilegeEscalation"),
        ({"securityContext": {"privileged": True}}, "forbidden"),
    ],
)
def test_no_container_of_a_pod_may_reach_further(server: ApiServer, container: dict[str, Any], message: str):
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    bad = {"name": "task", "image": "image:1", "securityContext": security, **container}
    good = {"name": "other", "image": "image:1", "securityContext": security}

    for spec in ({"containers": [bad]}, {"containers": [good, bad]}, {"containers": [good], "initContainers": [bad]}):
        assert message in said(server, PLAIN, copy.deepcopy(spec))


def test_a_pod_may_not_mix_an_allowed_secret_with_a_foreign_one(server: ApiServer):
    names = ["tidal-creds", "of-another", "flyte-object-store"]
    spec = {"volumes": [{"name": name, "secret": {"secretName": name}} for name in names]}

    assert "the project has no Secret of-another;" in said(server, PLAIN, spec)
    assert said(server, PLAIN, volume(secret={"secretName": "tidal-creds"}), environment("tidal-creds")) == ALLOWED


def test_a_project_gets_what_it_lists_and_no_more(server: ApiServer):
    assert said(server, WIDE, volume(nfs={"server": "192.168.1.20", "path": "/"})) == ALLOWED
    assert said(server, WIDE, volume(ephemeral=CLAIM)) == ALLOWED
    assert said(server, WIDE, volume(**TOKEN)) == ALLOWED
    assert said(server, WIDE, {"automountServiceAccountToken": True, "serviceAccountName": "reader"}) == ALLOWED
    assert said(server, WIDE, volume(secret={"secretName": "of-the-operator"})) == ALLOWED

    assert "a volume of a type" in said(server, WIDE, volume(csi={"driver": "any"}))
    assert "it has the service account other" in said(server, WIDE, {"serviceAccountName": "other"})
    assert "has no Secret tidal-creds" in said(server, WIDE, volume(secret={"secretName": "tidal-creds"}))


def test_privileged_allows_escalation_but_neither_volumes_nor_secrets(server: ApiServer):
    root = {"securityContext": {"runAsUser": 0}}

    assert said(server, ROOT, root, {"securityContext": {"privileged": True}}) == ALLOWED
    assert "a volume of a type" in said(server, ROOT, volume(hostPath={"path": "/"}))
    assert "has no Secret tidal-creds" in said(server, ROOT, volume(secret={"secretName": "tidal-creds"}))


def test_other_namespaces_are_none_of_the_policys_business(server: ApiServer):
    metadata = {"name": "task", "namespace": "default"}
    spec = {"containers": [{"name": "a", "image": "image:1"}], "priorityClassName": "other", **volume(nfs={})}
    spec["volumes"][0]["nfs"] = {"server": "192.168.1.20", "path": "/"}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
    assert server.apply([account], dry_run=False) == []

    assert server.create([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}]) == []


FLYTE = "--as=system:serviceaccount:flyte:flyte-binary"


def as_flyte(server: ApiServer, *manifests: dict[str, Any]) -> list[str]:
    """What the server says when Flyte's account creates these objects, by a dry run; empty where it may."""
    said = []
    for manifest in manifests:
        answer = server.run("create", FLYTE, "--dry-run=server", "--filename=-", given=json.dumps(manifest))
        said.append(answer.stderr.strip())
    return said


def object_of(kind: str, namespace: str = "", version: str = "v1", name: str = "any", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def test_flytes_account_gains_no_right_by_anything_it_may_write(server: ApiServer):
    rbac = "rbac.authorization.k8s.io/v1"
    admin = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    pod = {"containers": [{"name": "a", "image": "image:1"}]}
    template = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}
    denied = as_flyte(
        server,
        # A forged release of Helm, which would run its hooks with the rights of the person who destroys the stack.
        object_of("Secret", "flyte", name="sh.helm.release.v1.flyte-binary.v9", type="helm.sh/release.v1"),
        object_of("Secret", PLAIN),
        object_of("ConfigMap", "flyte"),
        object_of("ConfigMap", PLAIN),
        object_of("Pod", "flyte", spec=pod),
        object_of("Pod", "default", spec=pod),
        object_of("Pod", "kube-system", spec=pod),
        object_of("ServiceAccount", PLAIN),
        object_of("PodTemplate", PLAIN, template={"spec": pod}),
        object_of("RoleBinding", PLAIN, rbac, roleRef=admin),
        object_of("ClusterRoleBinding", "", rbac, roleRef=admin),
        object_of("Role", PLAIN, rbac, rules=[]),
        object_of("Namespace"),
        object_of("Deployment", PLAIN, "apps/v1", spec=template),
        object_of("Job", PLAIN, "batch/v1", spec={"template": {"spec": {**pod, "restartPolicy": "Never"}}}),
        object_of("NetworkPolicy", PLAIN, "networking.k8s.io/v1", spec={"podSelector": {}}),
        object_of("MutatingWebhookConfiguration", "", "admissionregistration.k8s.io/v1", webhooks=[]),
    )
    assert [answer for answer in denied if "forbidden" not in answer] == []

    for path in (
        f"/api/v1/namespaces/{PLAIN}/serviceaccounts/flyte-task/token",
        f"/api/v1/namespaces/{PLAIN}/pods/any/binding",
        f"/api/v1/namespaces/{PLAIN}/pods/any/eviction",
    ):
        answer = server.run("create", FLYTE, "--raw", path, "--filename=-", given="{}")
        assert "orbidden" in answer.stderr, path
    for command in (
        ["annotate", "namespace", PLAIN, "flyte-home/secrets=minio-root", "--overwrite"],
        ["label", "namespace", PLAIN, "pod-security.kubernetes.io/enforce=privileged", "--overwrite"],
        ["delete", "validatingadmissionpolicybinding", "flyte-home-task-pods"],
        ["get", "secrets", "--all-namespaces"],
        ["get", "secrets", f"--namespace={PLAIN}"],
        ["get", "configmaps", "--namespace=flyte"],
    ):
        answer = server.run(*command, FLYTE)
        assert "orbidden" in answer.stderr, command


def test_what_flytes_account_may_create_is_limited_by_the_policy(server: ApiServer):
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    plain = {"serviceAccountName": "flyte-task", "automountServiceAccountToken": False}
    plain["containers"] = [{"name": "a", "image": "image:1", "securityContext": security}]

    def said(**fields: Any) -> str:
        return as_flyte(server, object_of("Pod", PLAIN, spec={**plain, **fields}))[0]

    assert "denied" not in said()
    assert "forbidden" not in said()
    assert "has no Secret minio-root" in said(**volume(secret={"secretName": "minio-root"}))
    assert "names its node" in said(nodeName="any")
    assert "service account token" in said(**volume(**TOKEN))

"""The doctor's check of Vault: the injector, and why a task pod gets no secret."""

from typing import Any

import pytest

from ops.doctor.check import Result
from ops.doctor.task_secrets import check_secrets
from tests.kubectl import FakeCluster, examined

VAULT: dict[str, Any] = {
    "projects": [{"name": "vision", "serviceAccountToken": True}],
    "tidalCreds": None,
    "secretManager": {"type": "Vault", "vault": {"role": "home"}},
}
INJECTED = {"vault.hashicorp.com/agent-inject": "true", "vault.hashicorp.com/agent-inject-status": "injected"}
# What the agent of OpenBao 2.6 logs, which is a fork of Vault.
LOGIN = "[ERROR] agent.auth.handler: error authenticating:\n  error=\n  | Error making API request.\n  | Code: {}.\n"
TEMPLATE = '[ERROR] agent.template.server: template server error: error="(dynamic): {}" backoff=1s'
READ = "[WARN]  agent: (view) vault.read(secret/data/model-hub): "


def webhooks(*names: str) -> dict[str, Any]:
    return {"items": [{"webhooks": [{"name": name} for name in names]}]}


def pod(name: str, created: str, annotations: dict[str, str], state: dict[str, Any] | None = None) -> dict[str, Any]:
    statuses = [{"name": "vault-agent-init", "state": state}] if state else []
    metadata = {"name": name, "namespace": "vision-development", "creationTimestamp": created}
    return {"metadata": {**metadata, "annotations": annotations}, "status": {"initContainerStatuses": statuses}}


RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-11-30T05:45:23Z"}}
DONE: dict[str, Any] = {"terminated": {"exitCode": 0}}


def said(*pods: dict[str, Any], log: str = "", hooks: tuple[str, ...] = ("vault.hashicorp.com",)) -> Result:
    cluster = FakeCluster()
    cluster.on("get mutatingwebhookconfigurations", webhooks("flyte-webhook.flyte.org", *hooks))
    cluster.on("get pods", {"items": list(pods)})
    cluster.on("logs", log)
    (result,) = check_secrets(examined(cluster, **VAULT))
    return result


def test_without_trouble_the_check_says_where_the_secrets_are():
    found = said(pod("a", "2026-11-30T05:00:00Z", INJECTED, DONE))

    assert (found.state, found.says) == ("ok", "the task secrets are in Vault, whose agent injector is installed")


def test_a_cluster_without_the_injector_is_wrong_and_the_setting_is_named():
    found = said(hooks=())

    assert found.state == "wrong"
    assert "flyte-home:secretManager.type is Vault, but the cluster does not have Vault's agent injector" in found.says


def test_an_injector_that_did_not_answer_is_wrong():
    found = said(pod("a", "2026-11-30T05:00:00Z", {"vault.hashicorp.com/agent-inject": "true"}))

    assert found.state == "wrong"
    assert "Vault's agent injector did not answer when a in vision-development was created" in found.says


@pytest.mark.parametrize(
    ("log", "meaning"),
    [
        (
            LOGIN.format(400) + '  | * invalid role name "home"',
            "Vault has no role 'home'; write the role of your Vault to ",
        ),
        (LOGIN.format(403) + "  | * namespace not authorized", "Vault rejects the login; its role 'home'"),
        (
            'error authenticating: error="Put \\"http://vault.vault.svc:8200/v1/auth/kubernetes/login\\": dial tcp: '
            'connect: connection refused"',
            "Vault does not answer; flyte-home:projects[].egress must name its namespace",
        ),
        (READ + "Error making API request.\nCode: 403. Errors:\n* permission denied", "does not let the role 'home'"),
        (READ + "no secret exists at secret/data/model-hub", "Vault has no secret at the path that the task asks for"),
        (TEMPLATE.format("parse: template: :1: bad character U+002D '-'"), "letters, digits and _"),
        (
            TEMPLATE.format("nil pointer evaluating interface {}.token"),
            "flyte-home:secretManager.vault.kvVersion is not",
        ),
    ],
)
def test_the_log_of_vaults_agent_becomes_what_to_change(log: str, meaning: str):
    found = said(pod("a", "2026-11-30T05:00:00Z", INJECTED, RUNNING), log=log)

    assert found.state == "wrong"
    assert found.says.startswith("a in vision-development gets no secret: ")
    assert meaning in found.says
    assert "--container=vault-agent-init" in found.remedy


def test_a_pod_that_has_only_started_is_no_trouble():
    assert said(pod("a", "2026-11-30T05:00:00Z", INJECTED, RUNNING), log="[INFO] agent: starting").state == "ok"


def test_only_the_newest_pod_counts_because_older_troubles_may_be_fixed():
    pods = [
        pod("new", "2026-11-30T06:00:00Z", INJECTED, DONE),
        pod("old", "2026-11-30T05:00:00Z", INJECTED, {"terminated": {"exitCode": 1}}),
    ]

    assert said(*pods, log=READ + "permission denied").state == "ok"


def test_pods_of_other_namespaces_do_not_count():
    other = pod("a", "2026-11-30T05:00:00Z", INJECTED, RUNNING)
    other["metadata"]["namespace"] = "elsewhere"

    assert said(other, log=READ + "permission denied").state == "ok"


@pytest.mark.parametrize("forbidden", ["mutatingwebhookconfigurations", "pods"])
def test_a_user_who_may_not_look_gets_a_remark(forbidden: str):
    cluster = FakeCluster()
    cluster.on("get mutatingwebhookconfigurations", webhooks("vault.hashicorp.com"))
    cluster.on("get pods", {"items": []})
    cluster.on(f"get {forbidden}", error="Error from server (Forbidden)")

    (found,) = check_secrets(examined(cluster, **VAULT))

    assert found.state == "remark"

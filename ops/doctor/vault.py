"""The check of Vault, from which task pods get their secrets."""

import json
import re
from collections.abc import Iterator
from typing import Any

from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack

# Name of the webhook and of its init container, and the annotations of pods:
# https://github.com/hashicorp/vault-k8s/blob/v1.7.6/agent-inject/agent/annotations.go
_WEBHOOK, _AGENT = "vault.hashicorp.com", "vault-agent-init"
_WANTED, _STATUS = "vault.hashicorp.com/agent-inject", "vault.hashicorp.com/agent-inject-status"
# The label of the injector's pods in HashiCorp's chart.
_INJECTOR = "app.kubernetes.io/name=vault-agent-injector"
# The label of task pods that ask for secrets.
_SELECTOR = "--selector=inject-flyte-secrets"
_LOG_LINES = 60
_ROLE = "flyte-home:secretManager.vault.role"
_PATH = (
    "the path is the secret group of the task, such as secret/model-hub; with version 2 of the key-value engine, "
    "policies call it secret/data/model-hub"
)
# Parts of the agent's log with what they mean; the first that occurs counts. The agent repeats most requests for ever.
_CAUSES = (
    (r"invalid role name", f"Vault has no role {{role}}; write the role of your Vault to {_ROLE}"),
    (
        r"dial tcp|no such host|i/o timeout|connection refused|context deadline exceeded",
        "Vault does not answer; flyte-home:projects[].egress must name its namespace or address, and the injector must "
        "have its address",
    ),
    (
        r"error authenticating",
        f"Vault rejects the login; its role {{role}} ({_ROLE}) must accept the service account flyte-task in "
        "{namespace}",
    ),
    (
        r"permission denied",
        f"Vault does not let the role {{role}} ({_ROLE}) read what the task asks for; {_PATH}",
    ),
    (r"no secret exists", f"Vault has no secret at the path that the task asks for; {_PATH}"),
    (
        r"bad character",
        "the key that the task asks for has other signs than letters, digits and _, which Flyte's template cannot name",
    ),
    (
        r"nil pointer|can't evaluate",
        "flyte-home:secretManager.vault.kvVersion is not that of the key-value engine; a task may choose another one "
        'with group_version="kv1" or "kv2"',
    ),
)


def check_vault(stack: Stack) -> Iterator[Result]:
    """Check that Vault's agent injector is there, and that no task pod waits for it or has failed because of it."""
    if problem := _injector(stack):
        yield problem
        return
    answer = stack.cluster.run("get", "pods", "--all-namespaces", _SELECTOR, "--output=json")
    if answer.returncode:
        yield remark("the task pods cannot be read, so it is unknown whether they get their secrets from Vault")
        return
    ours = {scope.namespace for scope in stack.settings.task_scopes}
    pods = [pod for pod in json.loads(answer.stdout)["items"] if pod["metadata"]["namespace"] in ours]
    pods.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    # Only the newest counts: what was wrong before may have been fixed since.
    problem = _problem(stack, pods[-1]) if pods else None
    yield problem or ok("the task secrets are in Vault, whose agent injector is installed")


def _injector(stack: Stack) -> Result | None:
    """Return what is wrong with the registration of the injector."""
    answer = stack.cluster.run("get", "mutatingwebhookconfigurations", "--output=json")
    if answer.returncode:
        return remark("the webhooks of the cluster cannot be read, so it is unknown whether Vault's injector is there")
    registered = [hook["name"] for one in json.loads(answer.stdout)["items"] for hook in one.get("webhooks", [])]
    if _WEBHOOK in registered:
        return None
    return wrong(
        "flyte-home:secretManager.type is Vault, but the cluster does not have Vault's agent injector, so tasks find "
        "no secret; install it, or choose another type",
        "# https://developer.hashicorp.com/vault/docs/platform/k8s/helm",
    )


def _problem(stack: Stack, pod: dict[str, Any]) -> Result | None:
    """Return why the pod has no secret; None if it has one, or may still get one."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    annotations = pod["metadata"].get("annotations", {})
    if _WANTED in annotations and _STATUS not in annotations:
        return wrong(
            f"Vault's agent injector did not answer when {name} in {namespace} was created, so its task found no "
            "secret; is the injector running?",
            stack.cluster.shown(
                "get", "pods", "--all-namespaces", "--selector=app.kubernetes.io/name=vault-agent-injector"
            ),
        )
    states = [one for one in pod["status"].get("initContainerStatuses", []) if one["name"] == _AGENT]
    if not states or states[0]["state"].get("terminated", {}).get("exitCode") == 0:
        return None
    where = ("logs", name, f"--namespace={namespace}", f"--container={_AGENT}")
    log = stack.cluster.run(*where, f"--tail={_LOG_LINES}").stdout
    for sign, meaning in _CAUSES:
        if re.search(sign, log):
            why = meaning.format(role=repr(stack.settings.secret_manager.vault.role), namespace=namespace)
            return wrong(f"{name} in {namespace} gets no secret: {why}", stack.cluster.shown(*where))
    return None

"""The checks of Flyte's webhook, which gives tasks their secrets, and of the policy that limits it."""

import base64
import json
from collections.abc import Iterator

from components.flyte.names import WEBHOOK_REGISTRATION, webhook_service
from components.tasks import POD_TEMPLATE, POLICY_NAME
from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.flyte_api import logs
from ops.doctor.stack import Stack
from ops.lib.kubectl import documents
from ops.lib.text import one_line
from ops.lib.workloads import Object
from settings.projects import TaskScope

# Side effects of a webhook that allow a dry run.
_HARMLESS = {"None", "NoneOnDryRun"}
_STANDARD, _FLYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"abcdefghijklmnopqrstuvwxyz123456"


def check_webhook(stack: Stack) -> Iterator[Result]:
    """Check that Flyte's webhook gives a pod its secret, in every task namespace.

    This is a dry run: no pod is created.
    """
    name, up = WEBHOOK_REGISTRATION, f"make up STACK={stack.name}"
    registration = registration_of(stack)
    if not registration:
        yield wrong(
            f"mutatingwebhookconfiguration/{name} is not registered",
            stack.up_again,
        )
        return
    if registration["webhooks"][0].get("sideEffects") not in _HARMLESS:
        yield from _without_dry_run(stack, registration)
        return
    pods = {scope.namespace: _pod(stack, scope) for scope in stack.settings.task_scopes}
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(pods.values())})
    answer = stack.cluster.run("create", "--dry-run=server", "--filename=-", "--output=json", given=given)
    created = {pod["metadata"]["namespace"]: pod for pod in documents(answer.stdout)}
    for namespace, pod in pods.items():
        found = created.get(namespace)
        if found and (found["spec"].get("volumes") != pod["spec"].get("volumes") or not _asks(pod)):
            continue
        if found:
            yield wrong(f"a pod in {namespace} that asks for a secret is created without it", up)
        else:
            why = next((line for line in answer.stderr.splitlines() if namespace in line), answer.stderr)
            quota = stack.cluster.shown("describe", "quota", "--namespace", namespace)
            yield wrong(
                f"a pod in {namespace} that asks for a secret is rejected: {one_line(why)}",
                quota if "exceeded quota" in why else logs(stack),
            )
    if all(namespace in created for namespace in pods):
        yield ok(f"pods get their secrets in {', '.join(pods)}")


def check_admission(stack: Stack) -> Iterator[Result]:
    """Check that a pod with a Secret that its project does not have is rejected (see `TaskPodPolicy`).

    This is a dry run: no pod is created.
    """
    pods = []
    for scope in stack.settings.task_scopes:
        pod = _pod(stack, scope)
        pod["metadata"] = {key: value for key, value in pod["metadata"].items() if key in {"name", "namespace"}}
        pod["spec"]["volumes"] = [{"name": "foreign", "secret": {"secretName": "flyte-home-doctor", "optional": True}}]
        pods.append(pod)
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": pods})
    answer = stack.cluster.run("create", "--dry-run=server", "--filename=-", "--output=json", given=given)
    created = [pod["metadata"]["namespace"] for pod in documents(answer.stdout)]
    if created:
        yield wrong(
            f"nothing limits the pods of tasks in {', '.join(created)} to what their project has", stack.up_again
        )
    elif POLICY_NAME not in answer.stderr:
        yield wrong(f"pods are rejected for another reason: {one_line(answer.stderr)}", stack.up_again)
    else:
        yield ok("pods with a Secret that their project does not have are rejected")


def _without_dry_run(stack: Stack, registration: Object) -> Iterator[Result]:
    """Check that the webhook's Service has a ready pod. A webhook with side effects does not allow a dry run."""
    name = webhook_service(stack.settings.generations.webhook)
    slices = json.loads(
        stack.cluster.ask(
            "get",
            "endpointslices",
            f"--namespace={stack.namespace}",
            f"--selector=kubernetes.io/service-name={name}",
            "--output=json",
        )
    )["items"]
    ready = any(
        endpoint.get("conditions", {}).get("ready") for found in slices for endpoint in found.get("endpoints") or []
    )
    side_effects = registration["webhooks"][0].get("sideEffects")
    if not ready:
        yield wrong(f"service/{name} has no ready pod", stack.shown("get", "pods,endpointslices"))
    else:
        yield remark(
            f"the webhook's sideEffects are {side_effects!r}, so it cannot be tested; its Service has a ready pod",
            stack.up_again,
        )


def registration_of(stack: Stack) -> Object | None:
    """Return the registration of Flyte's webhook; None if it is missing."""
    answer = stack.cluster.ask(
        "get", "mutatingwebhookconfiguration", WEBHOOK_REGISTRATION, "--ignore-not-found", "--output=json"
    )
    found: Object | None = json.loads(answer) if answer else None
    return found if found and found.get("webhooks") else None


def _pod(stack: Stack, scope: TaskScope) -> Object:
    """Return a pod as Flyte creates it for a task that asks for the first secret of its project, as a file.

    Source: https://github.com/flyteorg/flyte/blob/v1.16.8/flyteplugins/go/tasks/pluginmachinery/utils/secrets/marshaler.go
    """
    groups = {group.group: group for group in stack.settings.task_secrets}
    wanted = [(name, key.key) for name in stack.groups_of(scope) if name in groups for key in groups[name].keys][:1]
    annotations = {
        f"flyte.secrets/s{number}": encoded(f'group: "{group}"\nkey: "{key}"\nmount_requirement: FILE\n')
        for number, (group, key) in enumerate(wanted)
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "flyte-home-doctor",
            "namespace": scope.namespace,
            "labels": {"inject-flyte-secrets": "true"},
            "annotations": annotations,
        },
        "spec": {
            "serviceAccountName": POD_TEMPLATE,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "task",
                    "image": "placeholder:never-started",
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        },
    }


def _asks(pod: Object) -> bool:
    return bool(pod["metadata"]["annotations"])


def encoded(text: str) -> str:
    """Encode a request for a secret as Flyte does in a pod's annotation: base 32 with Flyte's own alphabet.

    Source: https://github.com/flyteorg/flyte/blob/v1.16.8/flyteplugins/go/tasks/pluginmachinery/encoding/encoder.go
    """
    return base64.b32encode(text.encode()).translate(bytes.maketrans(_STANDARD, _FLYTES)).decode().rstrip("=")

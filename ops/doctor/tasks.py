"""Checks 10 to 12: what a task needs to get its secrets, and where its log is."""

import base64
import datetime
import json
import urllib.parse
from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from components.flyte.names import RELEASE, WEBHOOK_SERVICE
from components.tasks import POLICY_NAME
from components.tasks.project_namespaces import POD_TEMPLATE
from ops.doctor.check import Said, ok, remark, wrong
from ops.doctor.stack import Object, Stack, one_line
from ops.lib.client import NoAnswerError
from settings import SAMPLE_CREDENTIALS
from settings.projects import TaskScope
from settings.secrets import TaskSecretKey

# Before the end of a certificate.
_EARLY = datetime.timedelta(days=30)
# With these, a webhook says that it may be asked without consequences.
_HARMLESS = {"None", "NoneOnDryRun"}
_STANDARD, _FLYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"abcdefghijklmnopqrstuvwxyz123456"


def webhook(stack: Stack) -> Iterator[Said]:
    """A pod that asks for a secret gets it from Flyte's webhook, in every namespace; none is made for that."""
    name, up = WEBHOOK_SERVICE, f"make up STACK={stack.name}"
    registration = _registration(stack)
    if not registration:
        yield wrong(
            f"mutatingwebhookconfiguration/{name} is not registered",
            stack.up_again,
        )
        return
    if registration["webhooks"][0].get("sideEffects") not in _HARMLESS:
        yield from _reached_otherwise(stack, registration)
        return
    pods = {scope.namespace: _pod(stack, scope) for scope in stack.settings.task_scopes}
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(pods.values())})
    answer = stack.cluster.run("create", "--dry-run=server", "--filename=-", "--output=json", given=given)
    made = {pod["metadata"]["namespace"]: pod for pod in _documents(answer.stdout)}
    logs = stack.shown("logs", f"deployment/{RELEASE}", "--tail=40")
    for namespace, pod in pods.items():
        found = made.get(namespace)
        if found and (found["spec"].get("volumes") != pod["spec"].get("volumes") or not _asks(pod)):
            continue
        if found:
            yield wrong(f"a pod in {namespace} that asks for a secret is made without it", up)
        else:
            why = next((line for line in answer.stderr.splitlines() if namespace in line), answer.stderr)
            quota = stack.cluster.shown("describe", "quota", "--namespace", namespace)
            yield wrong(
                f"a pod in {namespace} that asks for a secret is refused: {one_line(why)}",
                quota if "exceeded quota" in why else logs,
            )
    if all(namespace in made for namespace in pods):
        yield ok(f"pods get their secrets in {', '.join(pods)}")


def admission(stack: Stack) -> Iterator[Said]:
    """A pod that would show a file of Flyte's own pod is refused (see `TaskPodPolicy`); none is made for that."""
    pods = {}
    for scope in stack.settings.task_scopes:
        # A harmless file; that its group is no name is what counts.
        pod = _pod(stack, scope)
        text = 'group: "../../etc"\nkey: "hostname"\nmount_requirement: ENV_VAR\n'
        pod["metadata"]["annotations"] = {"flyte.secrets/s0": encoded(text)}
        pods[scope.namespace] = pod
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(pods.values())})
    answer = stack.cluster.run("create", "--dry-run=server", "--filename=-", "--output=json", given=given)
    made = [pod["metadata"]["namespace"] for pod in _documents(answer.stdout)]
    if made:
        yield wrong(f"a task in {', '.join(made)} could have the files of Flyte's own pod shown", stack.up_again)
    elif POLICY_NAME not in answer.stderr and "nvalid" not in answer.stderr:
        yield wrong(f"pods are refused for another reason: {one_line(answer.stderr)}", stack.up_again)
    else:
        yield ok("pods that would show the files of Flyte's own are refused")


def _reached_otherwise(stack: Stack, registration: Object) -> Iterator[Said]:
    """Whether somebody would answer the webhook's calls, where it cannot be called without consequences."""
    name = WEBHOOK_SERVICE
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
            f"the webhook's sideEffects are {side_effects!r}, so it cannot be tried; its Service has a ready pod",
            stack.up_again,
        )


def _registration(stack: Stack) -> Object | None:
    answer = stack.cluster.ask(
        "get", "mutatingwebhookconfiguration", WEBHOOK_SERVICE, "--ignore-not-found", "--output=json"
    )
    found: Object | None = json.loads(answer) if answer else None
    return found if found and found.get("webhooks") else None


def _pod(stack: Stack, scope: TaskScope) -> Object:
    """A pod as Flyte makes it for a task that asks for the first secret of its project, as a file.

    https://github.com/flyteorg/flyte/blob/v1.16.8/flyteplugins/go/tasks/pluginmachinery/utils/secrets/marshaler.go
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
    """As Flyte writes what a pod asks for into an annotation: in base 32 with an alphabet of its own.

    https://github.com/flyteorg/flyte/blob/v1.16.8/flyteplugins/go/tasks/pluginmachinery/encoding/encoder.go
    """
    return base64.b32encode(text.encode()).translate(bytes.maketrans(_STANDARD, _FLYTES)).decode().rstrip("=")


def certificate(stack: Stack, now: datetime.datetime | None = None) -> Iterator[Said]:
    """The certificate of the webhook is the one that the API server expects, and not at its end."""
    today = now or datetime.datetime.now(datetime.UTC)
    anew = (
        f"pulumi config set --path flyte-home:generations.webhook {stack.settings.generations.webhook + 1} "
        f"--stack {stack.name} && make up STACK={stack.name}"
    )
    registration = _registration(stack)
    if not registration:
        yield wrong(f"mutatingwebhookconfiguration/{WEBHOOK_SERVICE} is not registered", anew)
        return
    bundle = base64.b64decode(registration["webhooks"][0]["clientConfig"].get("caBundle", ""))
    answer = stack.cluster.run(
        "get", "secret", _mounted(stack), f"--namespace={stack.namespace}", r"--output=jsonpath={.data.tls\.crt}"
    )
    try:
        authorities = x509.load_pem_x509_certificates(bundle)
        own = x509.load_pem_x509_certificate(base64.b64decode(answer.stdout))
    except ValueError:
        yield wrong("the webhook's certificate, or the one that the API server expects, is missing or not one", anew)
        return
    fine = True
    if not any(_issued(own, authority) for authority in authorities):
        fine = False
        yield wrong("the webhook's certificate is not by the authority that the API server expects (caBundle)", anew)
    host = f"{WEBHOOK_SERVICE}.{stack.namespace}.svc"
    if host not in _hosts(own):
        fine = False
        yield wrong(f"the webhook's certificate is not for {host}", anew)
    end = min(found.not_valid_after_utc for found in (own, *authorities))
    if end <= today:
        yield wrong(f"the webhook's certificate has expired on {end:%Y-%m-%d}: no pod with a secret can be made", anew)
    elif end - today < _EARLY:
        yield remark(f"the webhook's certificate expires on {end:%Y-%m-%d}", anew)
    elif fine:
        yield ok(f"the webhook's, until {end:%Y-%m-%d}")


def _mounted(stack: Stack) -> str:
    """The Secret with the certificate, as Flyte has it mounted."""
    deployment = next((found for found in stack.of("Deployment") if found["metadata"]["name"] == RELEASE), None)
    volumes = deployment["spec"]["template"]["spec"].get("volumes", []) if deployment else []
    return next((one["secret"]["secretName"] for one in volumes if one["name"] == "webhook-certificate"), "none")


def _issued(own: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        own.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _hosts(own: x509.Certificate) -> list[str]:
    try:
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)


def log_links(stack: Stack, links: Sequence[tuple[str, str]]) -> Iterator[Said]:
    """Somebody answers where the console's links to the logs lead.

    Args:
        stack: the stack.
        links: name, and URL with placeholders such as ``{{ .podName }}``.
    """
    fine = []
    for name, template in links:
        parts = urllib.parse.urlsplit(template)
        server = f"{parts.scheme}://{parts.netloc}"
        if "{" in server or parts.scheme not in {"http", "https"}:
            yield remark(f"the log link {name!r} has a placeholder before its path, so it cannot be tried")
            continue
        try:
            stack.client.request(f"{server}/", seconds=5)
        except NoAnswerError as error:
            yield wrong(
                f"the log link {name!r} leads to {server}, which does not answer: {error}", f"curl -v {server}/"
            )
        else:
            fine.append(f"{name} at {server}")
    if fine or not links:
        yield ok(", ".join(fine) or "none are set")


def secrets(stack: Stack) -> Iterator[Said]:
    """Every secret that a project asks for is in its namespaces, and what it should be."""
    manager = stack.settings.secret_manager.type
    if manager != "K8s":
        yield ok(f"those of tasks are in {manager}")
        return
    groups = {group.group: group for group in stack.settings.task_secrets}
    troubles, samples, count = [], set(), 0
    for scope in stack.settings.task_scopes:
        for name in stack.groups_of(scope):
            for key in groups[name].keys:
                count += 1
                value = stack.kept_secrets[scope.namespace].get(name, {}).get(key.key)
                if problem := _problem(value, key):
                    renew = stack.cluster.shown("delete", "secret", name, "--namespace", scope.namespace)
                    first = "" if value is None else f"{renew} && "
                    troubles.append(
                        wrong(f"{name}/{key.key} in {scope.namespace} {problem}", f"{first}{stack.up_again}")
                    )
                elif value == SAMPLE_CREDENTIALS:
                    samples.add(key.setting)
    yield from troubles
    for setting in sorted(samples):
        yield remark(
            f"flyte-home:{setting} holds the sample, which opens nothing",
            f'pulumi config set --secret flyte-home:{setting} "$(cat creds.json)" --stack {stack.name} '
            f"&& make up STACK={stack.name}",
        )
    if not troubles:
        yield ok(f"{count} keys of {len(stack.settings.task_scopes)} namespaces are there")


def _problem(value: str | None, key: TaskSecretKey) -> str:
    """What is wrong with the value of a key; empty if nothing is. It never quotes the value."""
    if value is None:
        return "is not there"
    if not value.strip():
        return "is empty"
    if key.format == "json":
        try:
            if not isinstance(json.loads(value), dict):
                return "is JSON, but not an object"
        except (ValueError, RecursionError):
            return "is not JSON"
    return ""


def _documents(text: str) -> list[Object]:
    """The objects that kubectl prints one after the other, or in a list."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        content, end = decoder.raw_decode(rest)
        found += content.get("items", [content])
        rest = rest[end:].strip()
    return found

"""Checks 4 and 5: the pods of the stack, its Jobs, its namespaces and its volumes."""

import json
import re
from collections.abc import Iterator

from components.database import postgres
from components.flyte import names
from components.network.ingress import INGRESSES
from components.object_store import minio
from ops.doctor.check import Said, ok, remark, wrong
from ops.doctor.stack import Object, Stack, one_line
from settings.errors import SettingsError

# The group of settings of a server, its kind and its name.
SERVERS = {
    "postgres": ("StatefulSet", postgres.SERVICE),
    "minio": ("StatefulSet", minio.SERVICE),
    "flyte": ("Deployment", names.RELEASE),
}
# Shares of a volume in per cent, from which it is worth a remark, and from which it is about to stop its server.
_FILLING, _FULL = 85, 95
_DATA = {"postgres": "/var/lib/postgresql/data", "minio": "/data"}


def server(stack: Stack, setting: str) -> Iterator[Said]:
    """The server is ready; otherwise why its pod is not, as far as Kubernetes knows."""
    kind, name = SERVERS[setting]
    what = f"{kind.lower()}/{name}"
    found = next((one for one in stack.of(kind) if one["metadata"]["name"] == name), None)
    if not found:
        yield wrong(f"{what} is not in the namespace {stack.namespace}", f"make up STACK={stack.name}")
        return
    pods = [pod for pod in stack.of("Pod") if _selected(pod, found)]
    if found["status"].get("readyReplicas", 0) >= 1:
        killed = [pod for pod in pods for status in _statuses(pod) if _terminated(status) == "OOMKilled"]
        if killed:
            yield remark(
                f"{what} is ready, but was killed before because it needed more memory than it may have",
                _more_memory(stack, setting),
            )
        yield ok(f"{what} is ready")
        return
    if found["spec"].get("replicas") == 0:
        yield wrong(f"{what} is scaled to 0", stack.shown("scale", what, "--replicas=1"))
        return
    newest = max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), default=None)
    said = "".join(f"; {line}" for line in stack.warnings(name, newest))
    if not newest:
        yield wrong(f"{what} has no pod{said}", stack.shown("describe", what))
        return
    why, mend = _trouble(stack, setting, newest)
    yield wrong(f"{what} is not ready: {why}{said}", mend)


def _trouble(stack: Stack, setting: str, pod: Object) -> tuple[str, str]:
    """Why a pod is not ready, and the command that mends it or says more."""
    name = pod["metadata"]["name"]
    describe = stack.shown("describe", "pod", name)
    if pod["metadata"].get("deletionTimestamp"):
        return f"{name} is ending", describe
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{name} has no node ({one_line(condition.get('message', 'no reason is given'))})", describe
    for status in _statuses(pod):
        waiting = status.get("state", {}).get("waiting", {})
        reason, last = waiting.get("reason", ""), _terminated(status)
        if last == "OOMKilled":
            return (
                f"{name} needs more memory than flyte-home:{setting}.resources gives it (OOMKilled)",
                _more_memory(stack, setting),
            )
        if "Image" in reason:
            return (
                f"{name} cannot get its image {status['image']} ({reason}); flyte-home:images.* takes another",
                describe,
            )
        if reason == "CrashLoopBackOff":
            code = status.get("lastState", {}).get("terminated", {}).get("exitCode", "unknown")
            return (
                f"{name} ends again and again, with code {code} (CrashLoopBackOff)",
                stack.shown("logs", name, "--container", status["name"], "--previous", "--tail=40"),
            )
        if reason not in {"", "PodInitializing", "ContainerCreating"}:
            return f"{name}: {reason}: {one_line(waiting.get('message', ''))}", describe
    return f"{name} is {pod['status'].get('phase', 'of an unknown phase')} and not ready yet", describe


def _statuses(pod: Object) -> list[Object]:
    status = pod["status"]
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _terminated(status: Object) -> str:
    """Why a container ended, now or the last time; empty if it never did."""
    for state in (status.get("state", {}), status.get("lastState", {})):
        if "terminated" in state and state["terminated"].get("reason") != "Completed":
            return str(state["terminated"].get("reason", ""))
    return ""


def _more_memory(stack: Stack, setting: str) -> str:
    amount = getattr(stack.settings, setting).resources.limits.memory
    doubled = re.sub(r"^\d+", lambda digits: str(2 * int(digits[0])), amount)
    key = f"flyte-home:{setting}.resources.limits.memory"
    return f"pulumi config set --path {key} {doubled} --stack {stack.name} && make up STACK={stack.name}"


def _selected(pod: Object, workload: Object) -> bool:
    labels = pod["metadata"].get("labels", {})
    wanted: dict[str, str] = workload["spec"]["selector"]["matchLabels"]
    return all(labels.get(label) == value for label, value in wanted.items())


def jobs(stack: Stack) -> Iterator[Said]:
    """No Job of the stack has failed: they make buckets, users, and what Flyte knows of them."""
    fine = True
    for job in stack.of("Job"):
        failed = [found for found in job["status"].get("conditions", []) if found["type"] == "Failed"]
        if any(found["status"] == "True" for found in failed):
            fine = False
            name = job["metadata"]["name"]
            yield wrong(
                f"job/{name} has failed: {one_line(failed[0].get('message', ''))}",
                f"{stack.shown('logs', f'job/{name}', '--tail=40')}  # why; then\n"
                f"{stack.shown('delete', 'job', name)} && {stack.up_again}",
            )
    if fine:
        yield ok("none of the stack's Jobs has failed")


def ingress(stack: Stack) -> Iterator[Said]:
    """Every Ingress of the stack is there, and so is the certificate that it names.

    That clients get through is what the checks of the addresses say.
    """
    there = {found["metadata"]["name"]: found for found in stack.of("Ingress")}
    missing = sorted({f"flyte-{what}" for what in INGRESSES} - there.keys())
    if missing:
        yield wrong(f"ingress/{', ingress/'.join(missing)} is not in {stack.namespace}", stack.up_again)
    certificates: dict[str, set[str]] = {}
    for found in there.values():
        for tls in found["spec"].get("tls", []):
            if tls.get("secretName"):
                certificates.setdefault(tls["secretName"], set()).update(tls.get("hosts", []))
    fine = not missing
    for secret, hosts in certificates.items():
        if not stack.cluster.ask(
            "get", "secret", secret, f"--namespace={stack.namespace}", "--ignore-not-found", "--output=name"
        ):
            fine = False
            issued = bool(stack.settings.ingress.tls.issuer)
            yield wrong(
                f"the certificate for {', '.join(sorted(hosts))} is not there: no Secret {secret} in {stack.namespace}",
                stack.shown("describe", "certificate", secret)
                if issued
                else stack.shown("create", "secret", "tls", secret, "--cert=tls.crt", "--key=tls.key"),
            )
    if fine:
        names = sorted({rule["host"] for found in there.values() for rule in found["spec"]["rules"]})
        yield ok(f"{', '.join(names)} by {stack.settings.ingress.controller}")


def namespaces(stack: Stack) -> Iterator[Said]:
    """Every project has its namespace in each domain."""
    wanted = [scope.namespace for scope in stack.settings.task_scopes]
    answer = stack.cluster.ask("get", "namespace", *wanted, "--ignore-not-found", "--output=json")
    content = json.loads(answer or '{"items": []}')
    phases = {item["metadata"]["name"]: item["status"]["phase"] for item in content.get("items", [content])}
    missing = [name for name in wanted if name not in phases]
    ending = [name for name in wanted if phases.get(name) == "Terminating"]
    if missing:
        yield wrong(f"there is no namespace {', '.join(missing)}", f"make up STACK={stack.name}")
    for name in ending:
        yield wrong(f"the namespace {name} is being deleted", stack.cluster.shown("describe", "namespace", name))
    if not missing and not ending:
        yield ok(f"{', '.join(wanted)}")


def volumes(stack: Stack) -> Iterator[Said]:
    """The volumes are there, and not full."""
    fine = True
    levels = []
    claims = {claim["metadata"]["name"]: claim for claim in stack.of("PersistentVolumeClaim")}
    for setting in _DATA:
        kind, name = SERVERS[setting]
        found = [one for one in stack.of(kind) if one["metadata"]["name"] == name]
        for claimed in [claim for workload in found for claim in _claims(workload)]:
            if claimed not in claims:
                fine = False
                yield wrong(
                    f"the volume {claimed} of {name} is gone",
                    f"{stack.up_again}  # makes it anew, empty",
                )
            elif claims[claimed]["status"].get("phase") != "Bound":
                fine = False
                yield _unbound(stack, claims[claimed])
        level = _level(stack, setting)
        if level is None:
            continue
        levels.append(f"{name} {level} %")
        if level >= _FILLING:
            fine = False
            size = getattr(stack.settings, setting).volume.size
            say = wrong if level >= _FULL else remark
            yield say(
                f"the volume of {name} is {level} % full; flyte-home:{setting}.volume.size is {size}, and a storage "
                "class that can grow volumes takes a larger one",
                stack.shown("exec", f"{name}-0", "--", "df", "-h", _DATA[setting]),
            )
    if fine:
        yield ok(f"bound{', used: ' if levels else ''}{', '.join(levels)}")


def _unbound(stack: Stack, claim: Object) -> Said:
    name = claim["metadata"]["name"]
    said = "".join(f"; {line}" for line in stack.warnings(name))
    wanted = claim["spec"].get("storageClassName")
    try:
        listed = json.loads(stack.cluster.ask("get", "storageclasses", "--output=json"))["items"]
    except SettingsError:
        listed = []
    there = [one["metadata"]["name"] for one in listed]
    if wanted not in there:
        which = f"the storage class {wanted!r}" if wanted else "a default storage class"
        said = f"; the cluster has not {which}, but {', '.join(there) or 'none'}{said}"
    return wrong(
        f"the volume {name} is {claim['status'].get('phase', 'nowhere')}{said}",
        stack.shown("describe", "persistentvolumeclaim", name),
    )


def _claims(workload: Object) -> list[str]:
    volumes_of_pod = workload["spec"]["template"]["spec"].get("volumes", [])
    return [one["persistentVolumeClaim"]["claimName"] for one in volumes_of_pod if "persistentVolumeClaim" in one]


def _level(stack: Stack, setting: str) -> int | None:
    """How full a volume is, in per cent; None where the image has no df, or its pod does not run."""
    answer = stack.cluster.run(
        "exec",
        f"{SERVERS[setting][1]}-0",
        f"--namespace={stack.namespace}",
        "--",
        "df",
        "-P",
        _DATA[setting],
        seconds=5,
    )
    match = re.search(r"\s(\d+)%\s", answer.stdout)
    return int(match[1]) if answer.returncode == 0 and match else None

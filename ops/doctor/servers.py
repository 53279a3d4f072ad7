"""The checks of the stack's servers, Jobs, namespaces and Ingresses, and of the login to the database."""

import json
import re
from collections.abc import Iterator

from components.database import postgres
from components.flyte import names as flyte
from components.network.ingress import INGRESSES
from components.object_store import minio
from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack
from ops.lib.database_client import deployed_client
from ops.lib.text import one_line
from ops.lib.workloads import Trouble, Waiting, statuses, terminated
from settings import Settings
from settings.errors import SettingsError

SERVERS = {
    "postgres": ("StatefulSet", postgres.SERVICE),
    "minio": ("StatefulSet", minio.SERVICE),
    "flyte": ("Deployment", flyte.RELEASE),
}
"""Kind and name of each server, by its key in the settings."""


def servers_of(settings: Settings) -> list[str]:
    """Return the keys of the servers that have a workload of the stack; others run otherwise, or outside of it."""
    modes = {"postgres": settings.postgres.mode, "minio": settings.minio.mode}
    return [name for name in SERVERS if modes.get(name, "bundled") == "bundled"]


def check_server(stack: Stack, setting: str) -> Iterator[Result]:
    """Check that a server is ready; if not, report the reason that Kubernetes gives.

    Args:
        stack: the stack.
        setting: key of the server in the settings.
    """
    kind, name = SERVERS[setting]
    what = f"{kind.lower()}/{name}"
    found = next((one for one in stack.of(kind) if one["metadata"]["name"] == name), None)
    if not found:
        yield wrong(f"{what} is not in the namespace {stack.namespace}", f"make up STACK={stack.name}")
        return
    if found["status"].get("readyReplicas", 0) >= 1:
        pod = stack.workloads.newest_pod(found)
        if pod and any(terminated(status) == "OOMKilled" for status in statuses(pod)):
            yield remark(
                f"{what} is ready, but was killed earlier because it needed more memory than its limit",
                _more_memory(stack, setting),
            )
        yield ok(f"{what} is ready")
        return
    if found["spec"].get("replicas") == 0:
        yield wrong(f"{what} is scaled to 0", stack.shown("scale", what, "--replicas=1"))
        return
    waiting = stack.workloads.waiting_for(found)
    yield wrong(f"{what} is not ready: {waiting.trouble.says}", _remedy(stack, setting, waiting))


def _remedy(stack: Stack, setting: str, waiting: Waiting) -> str:
    """Return the command that fixes it, or that shows more."""
    trouble = waiting.trouble
    if not waiting.pod:
        return stack.shown("describe", waiting.what)
    if trouble.cause == "memory" and setting:
        return _more_memory(stack, setting)
    if trouble.cause == "crash":
        return stack.shown("logs", waiting.pod, "--container", trouble.container, "--previous", "--tail=40")
    describe = stack.shown("describe", "pod", waiting.pod)
    if trouble.cause == "image":
        return _image_remedy(stack, trouble, describe)
    return describe


def _image_remedy(stack: Stack, trouble: Trouble, describe: str) -> str:
    """Return the command that lets the cluster pull an image."""
    registry = trouble.image.partition("/")[0]
    if trouble.pull_problem == "certificate":
        return f"{describe}\n# each node must trust the certificate of {registry}, see docs/fitting-in.md"
    if trouble.pull_problem == "login":
        for login in stack.settings.registries.logins:
            if login.host == registry:
                command = f"pulumi config set --secret flyte-home:{login.setting} --stack {stack.name}"
                return f"{command} && {stack.up_again}  # if {registry} has the image"
        return (
            f"pulumi config set --path flyte-home:registries.logins[0].host {registry} --stack {stack.name}  # and "
            "its user, see docs/fitting-in.md; or set another image with flyte-home:images.*"
        )
    return f"{describe}  # or set another image with flyte-home:images.*"


def _more_memory(stack: Stack, setting: str) -> str:
    amount = getattr(stack.settings, setting).resources.limits.memory
    doubled = re.sub(r"^\d+", lambda digits: str(2 * int(digits[0])), amount)
    key = f"flyte-home:{setting}.resources.limits.memory"
    return f"pulumi config set --path {key} {doubled} --stack {stack.name} && make up STACK={stack.name}"


def check_jobs(stack: Stack) -> Iterator[Result]:
    """Check that every Job of the stack has ended well or runs. They create buckets and users, and configure Flyte."""
    fine = True
    for waiting in stack.workloads.waiting():
        if waiting.what.startswith("job/") and waiting.trouble.cause != "running":
            fine = False
            yield wrong(f"{waiting.what} has not ended: {waiting.trouble.says}", _remedy(stack, "", waiting))
    for job in stack.workloads.jobs:
        failed = [found for found in job["status"].get("conditions", []) if found["type"] == "Failed"]
        if any(found["status"] == "True" for found in failed):
            fine = False
            name = job["metadata"]["name"]
            log = stack.cluster.run("logs", f"job/{name}", f"--namespace={stack.namespace}", "--tail=1").stdout.strip()
            ends = f"; its log ends with: {one_line(log)}" if log else ""
            yield wrong(
                f"job/{name} has failed: {one_line(failed[0].get('message', ''))}{ends}",
                f"{stack.shown('logs', f'job/{name}', '--tail=40')}  # shows why; then\nmake up STACK={stack.name}",
            )
    if fine:
        yield ok("none of the stack's Jobs has failed")


def check_ingress(stack: Stack) -> Iterator[Result]:
    """Check that every Ingress of the stack exists, with its certificate.

    The checks of the addresses show whether clients reach the services through them.
    """
    existing = {found["metadata"]["name"]: found for found in stack.of("Ingress")}
    wanted = [what for what in INGRESSES if what != "object-store" or stack.client.bundled_store]
    missing = sorted({f"flyte-{what}" for what in wanted} - existing.keys())
    if missing:
        yield wrong(f"ingress/{', ingress/'.join(missing)} is not in {stack.namespace}", stack.up_again)
    certificates: dict[str, set[str]] = {}
    for found in existing.values():
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
                f"the certificate for {', '.join(sorted(hosts))} is missing: no Secret {secret} in {stack.namespace}",
                stack.shown("describe", "certificate", secret)
                if issued
                else stack.shown("create", "secret", "tls", secret, "--cert=tls.crt", "--key=tls.key"),
            )
    if fine:
        names = sorted({rule["host"] for found in existing.values() for rule in found["spec"]["rules"]})
        yield ok(f"{', '.join(names)} by {stack.settings.ingress.controller}")


def check_namespaces(stack: Stack) -> Iterator[Result]:
    """Check that every project has its namespace in each domain."""
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


def check_database(stack: Stack) -> Iterator[Result]:
    """Check that the database accepts the mounted password of Flyte and rejects another one."""
    pod = f"{postgres.SERVICE}-0"
    answer = stack.cluster.run(
        "exec", pod, f"--namespace={stack.namespace}", "--container=postgres", "--", "/bin/sh", "/scripts/login.sh"
    )
    if answer.returncode:
        yield wrong(
            f"the login of Flyte's role fails: {one_line(_of_psql(answer.stderr))}",
            f"{stack.shown('delete', 'pod', pod)}  # the next start sets the mounted passwords",
        )
        return
    yield ok("a login with the mounted password works, and another password is rejected")


def check_other_database(stack: Stack) -> Iterator[Result]:
    """Check the server of the database that the stack does not run, from a pod in Flyte's namespace.

    Unlike the check of ``make up``, the network policies apply to it.
    """
    host = stack.settings.postgres.external.host
    try:
        with deployed_client(stack.cluster, stack.settings) as client:
            version = client.check()
    except SettingsError as error:
        yield wrong(str(error), stack.up_again)
        return
    yield ok(f"{version} at {host} lets Flyte's role in, and has what Flyte needs")


def _of_psql(text: str) -> str:
    """Return the output of psql without the line that kubectl adds."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("command terminated"))

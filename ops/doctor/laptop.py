"""Checks 1 to 3: the tools here, the cluster behind the context, and the rights there."""

import json
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ops.doctor.check import Said, ok, remark, wrong
from ops.doctor.stack import Stack, one_line
from ops.lib.kubectl import Cluster
from paths import ROOT
from settings.errors import SettingsError

EXAMPLE = ROOT / "examples" / "remedy_tidal"
_INSTALL = {
    "kubectl": "https://kubernetes.io/docs/tasks/tools/",
    "pulumi": "https://www.pulumi.com/docs/install/",
}
_KINDS_OF_UP = {
    # By API group: what `make up` makes and `make destroy` removes; a test compares it with the program.
    "": (
        "namespaces secrets configmaps services serviceaccounts persistentvolumeclaims resourcequotas limitranges "
        "podtemplates"
    ),
    "apps": "statefulsets deployments",
    "batch": "jobs",
    "networking.k8s.io": "networkpolicies ingresses",
    "rbac.authorization.k8s.io": "roles rolebindings clusterroles clusterrolebindings",
    "apiextensions.k8s.io": "customresourcedefinitions",
    "admissionregistration.k8s.io": (
        "mutatingwebhookconfigurations validatingadmissionpolicies validatingadmissionpolicybindings"
    ),
}
# What this doctor and `make connect` do besides: verb, API group, resource, subresource.
_OWN = [
    ("get", "", "pods", ""),
    ("create", "", "pods", ""),
    ("create", "", "pods", "exec"),
    ("create", "", "pods", "portforward"),
    ("get", "", "pods", "log"),
    ("list", "", "events", ""),
    ("get", "discovery.k8s.io", "endpointslices", ""),
]


def tools(example: Path = EXAMPLE) -> Iterator[Said]:
    """The programs are there, in versions that fit the pins of this repository."""
    project = (ROOT / "pyproject.toml").read_text()
    asked = {
        "kubectl": ["kubectl", "version", "--client", "--output=json"],
        "pulumi": ["pulumi", "version"],
        "flytekit": [
            str(example / ".venv/bin/python"),
            "-c",
            "from importlib.metadata import version; print(version('flytekit'))",
        ],
    }
    with ThreadPoolExecutor(len(asked)) as pool:
        said = dict(zip(asked, pool.map(_said, asked.values()), strict=True))
    needed = {
        "pulumi": _pinned("pulumi", project),
        "flytekit": _pinned("flytekit", (example / "requirements.txt").read_text()),
    }
    # No minimum for kubectl: what counts is the server's version, see `cluster`.
    found = {"python": platform.python_version(), **{name: _version(text) for name, text in said.items()}}
    fine = True
    for name, where in _INSTALL.items():
        if not found[name]:
            fine = False
            yield wrong(
                f"{name} is not on the PATH" if not shutil.which(name) else f"{name} does not say its version",
                f"# install it from {where}",
            )
    if not found["flytekit"]:
        fine = False
        yield remark(f"Flyte's client {needed['flytekit']} is not installed; make smoke installs it", "make smoke")
    elif found["flytekit"] != needed["flytekit"]:
        fine = False
        yield remark(
            f"Flyte's client is flytekit {found['flytekit']}; this repository is tested with {needed['flytekit']}",
            f"rm -r {example}/.venv  # make smoke installs it anew",
        )
    if found["pulumi"] and _numbers(found["pulumi"]) < _numbers(needed["pulumi"]):
        fine = False
        yield remark(
            f"pulumi {found['pulumi']} is older than the library, {needed['pulumi']}", f"# install {_INSTALL['pulumi']}"
        )
    if fine:
        yield ok(", ".join(f"{name} {version}" for name, version in found.items()))


def context(stack: Stack) -> Iterator[Said]:
    """The cluster that answers is the stack's own, and kubectl fits it. The stack has its `Cluster` after this."""
    settings = stack.settings
    try:
        stack.cluster = Cluster.of(settings.context, settings.kubeconfig)
    except SettingsError as error:
        yield wrong(str(error), f"make up STACK={stack.name} CONTEXT=NAME  # with a context that there is")
        return
    answer = stack.cluster.run("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}", seconds=10)
    if answer.returncode:
        yield wrong(
            f"kubernetes:context: the cluster of {settings.context!r} does not answer: {one_line(answer.stderr)}",
            stack.cluster.shown("cluster-info"),
        )
        return
    if answer.stdout != settings.cluster_uid:
        yield wrong(
            f"flyte-home:clusterUid: stack {stack.name!r} belongs to the cluster "
            f"{settings.cluster_uid or '(none yet)'}, but {settings.context!r} leads to {answer.stdout}",
            f"make up STACK={stack.name} CONTEXT=NAME  # with the context of the right cluster",
        )
        return
    versions = json.loads(stack.cluster.run("version", "--output=json", seconds=10).stdout or "{}")
    client, server = (_minor(versions.get(f"{side}Version") or {}) for side in ("client", "server"))
    if client and server and abs(client - server) > 1:
        yield remark(
            f"kubectl 1.{client} and the server 1.{server} are more than one minor version apart, which Kubernetes "
            "does not support",
            f"# install kubectl 1.{server} from {_INSTALL['kubectl']}",
        )
    yield ok(f"cluster {answer.stdout} of context {settings.context}, Kubernetes 1.{server}")


def rights(stack: Stack) -> Iterator[Said]:
    """Whoever asks may do what `make up` and this doctor do.

    https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
    """
    wanted = [
        (verb, group, resource, "")
        for group, resources in _KINDS_OF_UP.items()
        for resource in resources.split()
        for verb in ("create", "patch", "delete")
    ] + _OWN
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": dict(zip(("verb", "group", "resource", "subresource"), right, strict=True))},
        }
        for right in wanted
    ]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    answer = stack.cluster.run("create", "--filename=-", "--validate=false", "--output=json", given=given, seconds=15)
    if answer.returncode:
        yield wrong(f"the cluster does not say what you may do: {one_line(answer.stderr)}")
        return
    decoder, texts, place = json.JSONDecoder(), answer.stdout.strip(), 0
    missing = []
    while place < len(texts):
        review, place = decoder.raw_decode(texts, place)
        for found in review.get("items", [review]):
            attributes = found["spec"]["resourceAttributes"]
            if not found["status"]["allowed"]:
                part = f"/{attributes['subresource']}" if attributes.get("subresource") else ""
                group = f".{attributes['group']}" if attributes.get("group") else ""
                missing.append(f"{attributes['verb']} {attributes['resource']}{part}{group}")
        place += len(texts[place:]) - len(texts[place:].lstrip())
    if missing:
        yield wrong(
            f"you may not: {', '.join(missing)}",
            stack.cluster.shown("auth", "can-i", "--list") + "  # what you may; whoever runs the cluster grants more",
        )
    else:
        yield ok(f"all {len(wanted)} that make up and make doctor need")


def _said(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=15, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _version(text: str) -> str:
    """The first version in what a program prints."""
    match = re.search(r"v?(\d+\.\d+(?:\.\d+)?[\w.+-]*)", text)
    return match[1] if match else ""


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def _pinned(package: str, text: str) -> str:
    match = re.search(rf"(?m)^\W*{package}==([\w.]+)", text)
    if not match:
        raise SettingsError(f"{package}: no version is pinned")
    return match[1]


def _minor(version: Mapping[str, str]) -> int:
    digits = re.match(r"\d+", version.get("minor", ""))
    return int(digits[0]) if digits else 0

"""``make leftovers``: checks that a destroyed stack has left nothing in its cluster.

Usage: python -m ops.leftovers STACK [--patience SECONDS]

It looks through every kind of object that the cluster can list, also those that only other programs use. These objects
count as left over:

- objects with the labels of this program. The labels do not name the stack: a cluster can have only one;
- objects of Flyte's Helm release, and Helm's records of it;
- the namespaces of the stack, with or without these labels;
- volumes of claims in these namespaces;
- pods and namespaces of the doctor's probes.

Objects that are being deleted get some time. With `keepVolumes`, the claims, their volumes and their namespace are
shown, but do not count. What no API server shows is not found either: files on nodes, images, and objects that a person
created outside these namespaces without such a label.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from components.flyte import RELEASE
from components.pods.labels import LABELS
from ops.doctor.probes import LABEL as PROBE
from ops.lib.kubectl import Cluster
from ops.lib.stack_file import stack_config
from ops.lib.text import one_line
from settings import Settings, settings_from
from settings.errors import SettingsError

_SELECTORS = (
    ",".join(f"{key}={value}" for key, value in LABELS.items()),
    "app.kubernetes.io/managed-by=Helm",
    f"owner=helm,name={RELEASE}",
    PROBE,
)
_NAMESPACES, _VOLUMES, _CLAIMS = "Namespace", "PersistentVolume", "PersistentVolumeClaim"
# Kinds that are about other objects, and disappear with them or after a while.
_REPORTS = ("events", "events.events.k8s.io", "nodes.metrics.k8s.io", "pods.metrics.k8s.io")
# Seconds for one request, and between two looks at objects that are being deleted.
_SECONDS, _PAUSE = 60.0, 2.0


@dataclass(frozen=True, order=True)
class Left:
    """An object that is left over."""

    namespace: str
    """Empty for an object of the whole cluster."""
    kind: str
    name: str
    kept: bool = False
    """Whether the stack says to keep it."""
    going: bool = False
    """Whether it is being deleted."""
    claim: str = ""
    """Namespace and name of a volume's claim, and the volume's reclaim policy."""

    def __str__(self) -> str:
        state = "kept" if self.kept else "left"
        place = f" in {self.namespace}" if self.namespace else ""
        claim = f" of the claim {self.claim}" if self.claim else ""
        reason = ": keepVolumes" if self.kept else ": still being deleted" if self.going else ""
        return f"{state}    {self.kind} {self.name}{place}{claim}{reason}"


def main() -> int:
    """Run the command line; return 0 if nothing is left, or print what is and return 1."""
    parser = argparse.ArgumentParser(prog="leftovers", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--patience", type=float, default=60, help="seconds for what is being deleted; default 60")
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        cluster.check_is(settings.cluster_uid, args.stack)
        found = sorted(wait(cluster, settings, args.patience))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    for line in lines(found):
        print(line)
    if left := [one for one in found if not one.kept]:
        print(
            f"FAILED  {len(left)} objects are in the cluster of {settings.context}. make destroy STACK={args.stack} "
            "removes those of a deployed stack; kubectl delete removes the others",
            file=sys.stderr,
        )
        return 1
    print(f"ok      nothing {'else ' if found else ''}of the stack is in the cluster of {settings.context}")
    return 0


def wait(cluster: Cluster, settings: Settings, patience: float) -> set[Left]:
    """Return what is left, after waiting up to ``patience`` seconds for what is being deleted.

    Raises:
        SettingsError: the cluster does not answer, or some kind of object cannot be listed.
    """
    end = time.monotonic() + patience
    while True:
        found = leftovers(cluster, settings)
        pending = [one for one in found if not one.kept]
        if not pending or not all(one.going for one in pending) or time.monotonic() > end:
            return found
        time.sleep(_PAUSE)


def leftovers(cluster: Cluster, settings: Settings) -> set[Left]:
    """Return what is left of a stack, including what it says to keep.

    Raises:
        SettingsError: the cluster does not answer, or some kind of object cannot be listed.
    """
    known = _ask(cluster, "api-resources", "--verbs=list", "--output=name")
    kinds = ",".join(kind for kind in known.split() if kind not in _REPORTS)
    found: set[Left] = set()
    for selector in _SELECTORS:
        # Only the metadata is used and shown, because there are Secrets among the objects.
        objects = _listed(cluster, kinds, "--all-namespaces", f"--selector={selector}")
        found |= {_left(one, settings) for one in objects if _is_ours(one, selector, settings)}
    namespaces = settings.namespaces
    for one in _listed(cluster, "namespaces,persistentvolumes"):
        claim = one.get("spec", {}).get("claimRef") or {}
        if (
            one["metadata"]["name"] in namespaces
            if one["kind"] == _NAMESPACES
            else claim.get("namespace") in namespaces
        ):
            found.add(_left(one, settings))
    return found


def lines(found: list[Left]) -> Iterator[str]:
    """Yield a line for each object; a namespace that is left over stands for what is in it."""
    whole = {one.name for one in found if one.kind == _NAMESPACES and not one.kept}
    for one in found:
        if one.namespace in whole:
            continue
        inside = sum(other.namespace == one.name for other in found) if one.kind == _NAMESPACES else 0
        yield f"{one} ({inside} objects in it)" if one.name in whole and inside else str(one)


def _is_ours(found: dict[str, Any], selector: str, settings: Settings) -> bool:
    """Whether an object that matches the selector is one of the stack; other Helm releases are not."""
    annotations = found["metadata"].get("annotations") or {}
    if selector == _SELECTORS[1]:
        release = (annotations.get("meta.helm.sh/release-namespace"), annotations.get("meta.helm.sh/release-name"))
        return release == (settings.namespace, RELEASE)
    return selector != _SELECTORS[2] or found["metadata"].get("namespace") == settings.namespace


def _left(found: dict[str, Any], settings: Settings) -> Left:
    metadata, kind = found["metadata"], found["kind"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    claim = found.get("spec", {}).get("claimRef") or {}
    kept = settings.keep_volumes and (
        (kind == _NAMESPACES and name == settings.namespace)
        or (kind == _CLAIMS and namespace == settings.namespace)
        or (kind == _VOLUMES and claim.get("namespace") == settings.namespace)
    )
    # The provisioner deletes a released volume a moment after its claim.
    policy = found.get("spec", {}).get("persistentVolumeReclaimPolicy", "")
    released = policy == "Delete" and found.get("status", {}).get("phase") == "Released"
    of = f"{claim.get('namespace')}/{claim.get('name')} (policy {policy})" if kind == _VOLUMES else ""
    return Left(namespace, kind, name, kept, bool(metadata.get("deletionTimestamp")) or released, of)


def _listed(cluster: Cluster, *arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(_ask(cluster, "get", *arguments, "--output=json"))["items"])


def _ask(cluster: Cluster, *arguments: str) -> str:
    """Run kubectl; a partial answer is an error, because nothing can be said about the rest."""
    answer = cluster.run(*arguments, seconds=_SECONDS)
    if answer.returncode:
        raise SettingsError(
            f"kubernetes:context: the cluster of {cluster.context!r} does not list everything, so it is unknown what "
            f"is left: {one_line(answer.stderr)}"
        )
    return answer.stdout


if __name__ == "__main__":
    sys.exit(main())

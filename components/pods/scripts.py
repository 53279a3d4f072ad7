"""The shell scripts of ``scripts/``, as a pod mounts them."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.pods.labels import LABELS
from paths import ROOT


def script_config_map(
    name: str, namespace: pulumi.Input[str], folder: str, opts: pulumi.ResourceOptions, **files: str
) -> k8s.core.v1.ConfigMap:
    """A ConfigMap with every script of ``scripts/<folder>`` and the further ``files`` (name to text).

    It is immutable and named by Pulumi: changed content gets a new name, which rolls the pods that mount it.

    Raises:
        FileNotFoundError: the folder does not exist or has no script, so that the pod would have nothing to run.
    """
    found = sorted((ROOT / "scripts" / folder).glob("*.sh"))
    if not found:
        raise FileNotFoundError(f"scripts/{folder} has no *.sh; {name} would be a ConfigMap without a script")
    return k8s.core.v1.ConfigMap(
        name,
        metadata={"namespace": namespace, "labels": LABELS},
        immutable=True,
        data={**{path.name: path.read_text() for path in found}, **files},
        opts=opts,
    )

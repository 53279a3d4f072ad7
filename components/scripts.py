"""The shell scripts of ``scripts/``, as a pod mounts them."""

from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components.hardening import LABELS

_SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


def script_config_map(
    name: str, namespace: pulumi.Input[str], folder: str, opts: pulumi.ResourceOptions, **files: str
) -> k8s.core.v1.ConfigMap:
    """A ConfigMap with every script of ``scripts/<folder>`` and the further ``files`` (name to text).

    It is immutable and named by Pulumi: changed content means a new name, which rolls the pods that mount it.
    """
    content = {path.name: path.read_text() for path in sorted((_SCRIPTS / folder).glob("*.sh"))}
    return k8s.core.v1.ConfigMap(
        name,
        metadata={"namespace": namespace, "labels": LABELS},
        immutable=True,
        data={**content, **files},
        opts=opts,
    )

"""The shell scripts of ``scripts/``, as a pod mounts them."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from components.pods.labels import LABELS
from paths import ROOT


def script_config_map(
    name: str,
    namespace: pulumi.Input[str],
    folder: str,
    opts: pulumi.ResourceOptions,
    files: Mapping[str, str] | None = None,
    binary: Mapping[str, bytes] | None = None,
) -> k8s.core.v1.ConfigMap:
    """A ConfigMap with every script of ``scripts/<folder>``, and further ``files`` by name, texts or ``binary``.

    A script is a file of a shell, of SQL or of Perl.

    It is immutable and named by Pulumi: changed content gets a new name, which rolls the pods that mount it.

    Raises:
        FileNotFoundError: the folder does not exist or has no script, so that the pod would have nothing to run.
    """
    found = [path for path in sorted((ROOT / "scripts" / folder).glob("*")) if path.suffix in {".sh", ".sql", ".pl"}]
    if not found:
        raise FileNotFoundError(
            f"scripts/{folder} has no *.sh, *.sql or *.pl; {name} would be a ConfigMap without a script"
        )
    return k8s.core.v1.ConfigMap(
        name,
        metadata={"namespace": namespace, "labels": LABELS},
        immutable=True,
        data={**{path.name: path.read_text() for path in found}, **(files or {})},
        binary_data=_base64(binary) if binary else None,
        opts=opts,
    )


def binary_config_map(
    name: str, namespace: pulumi.Input[str], files: Mapping[str, bytes], opts: pulumi.ResourceOptions
) -> k8s.core.v1.ConfigMap:
    """A ConfigMap with binary ``files`` by name, immutable and named by Pulumi."""
    return k8s.core.v1.ConfigMap(
        name,
        metadata={"namespace": namespace, "labels": LABELS},
        immutable=True,
        binary_data=_base64(files),
        opts=opts,
    )


def _base64(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in files.items()}

"""Secrets with which the cluster pulls images from registries that require a login."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from components.pods.labels import LABELS


def pull_secrets(
    name: str, namespace: pulumi.Input[str], docker_config: str, opts: pulumi.ResourceOptions
) -> list[pulumi.Output[str]]:
    """The name of a Secret in ``namespace`` with ``docker_config``; nothing if that is empty.

    The Secret is named by Pulumi: another password means another name, which reaches pods that start from then on.
    """
    if not docker_config:
        return []
    secret = k8s.core.v1.Secret(
        name,
        metadata={"namespace": namespace, "labels": LABELS},
        immutable=True,
        type="kubernetes.io/dockerconfigjson",
        string_data={".dockerconfigjson": pulumi.Output.secret(docker_config)},
        opts=opts,
    )
    return [secret.metadata.name]


def with_pull_secrets(
    spec: k8s.core.v1.PodSpecArgsDict, names: Sequence[pulumi.Input[str]]
) -> k8s.core.v1.PodSpecArgsDict:
    """The pod ``spec`` with the Secrets of these names for its images; unchanged without any."""
    changed = spec.copy()
    if names:
        changed["image_pull_secrets"] = [{"name": name} for name in names]
    return changed

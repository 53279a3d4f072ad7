"""How a pod trusts the private authority that signed the certificate of an external object store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components.object_store.object_store import AUTHORITY_FILE

FOLDER = "/etc/flyte-home/object-store"
"""Folder in which a pod finds the certificate."""
VOLUME = "object-store-authority"
"""Name of the volume."""


@dataclass(frozen=True)
class Trust:
    """Parts of a pod; all empty without an authority."""

    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: Sequence[k8s.core.v1.VolumeArgsDict] = ()
    mounts: Sequence[k8s.core.v1.VolumeMountArgsDict] = ()


def trusted(authority: pulumi.Input[str]) -> Trust:
    """The parts of a pod whose program is written in Go and has to trust the certificate in a ConfigMap.

    Args:
        authority: name of the ConfigMap; empty: there is none.
    """
    if authority == "":
        return Trust()
    items: list[k8s.core.v1.KeyToPathArgsDict] = [{"key": AUTHORITY_FILE, "path": AUTHORITY_FILE}]
    return Trust(
        # In addition to the image's own bundle (https://pkg.go.dev/crypto/x509#SystemCertPool).
        {"SSL_CERT_DIR": FOLDER},
        [{"name": VOLUME, "config_map": {"name": authority, "items": items}}],
        [{"name": VOLUME, "mount_path": FOLDER, "read_only": True}],
    )

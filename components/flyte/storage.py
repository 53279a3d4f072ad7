"""How Flyte opens its object store, as values of the chart."""

from typing import Any

from components.object_store import AUTHORITY_FILE, ObjectStore

STORE_TRUST = "/etc/flyte/store-trust"
"""Folder with the certificate of the private authority of the object store."""
_VOLUME = "store-trust"


def store_values(store: ObjectStore, endpoint: str, authority: str) -> dict[str, Any]:
    """Values of the chart for the object store; they contain no key.

    Args:
        store: the store.
        endpoint: its address; empty: AWS.
        authority: name of the ConfigMap with the certificate of its private authority; empty: there is none.
    """
    s3: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if store.region:
        s3 |= {"region": store.region, "disableSSL": not store.tls}
    values: dict[str, Any] = {"configuration": {"storage": {"providerConfig": {"s3": s3}}}}
    if store.client_endpoint:
        signed = {"stowConfigOverride": {"endpoint": store.client_endpoint}}
        values["configuration"]["inline"] = {"storage": {"signedURL": signed}}
    if store.flyte_annotations:
        values["serviceAccount"] = {"annotations": dict(store.flyte_annotations)}
    if authority:
        items = [{"key": AUTHORITY_FILE, "path": AUTHORITY_FILE}]
        values["deployment"] = {
            "extraVolumes": [{"name": _VOLUME, "configMap": {"name": authority, "items": items}}],
            "extraVolumeMounts": [{"name": _VOLUME, "mountPath": STORE_TRUST, "readOnly": True}],
        }
    return values

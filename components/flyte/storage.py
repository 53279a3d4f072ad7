"""How Flyte opens its object store, as values of the chart."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.object_store import AUTHORITY_FILE, ObjectStore

_TRUST, _VOLUME = "/etc/flyte/store-trust", "store-trust"
_CERTIFICATES = "SSL_CERT_DIR"


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
            "extraVolumeMounts": [{"name": _VOLUME, "mountPath": _TRUST, "readOnly": True}],
            # In addition to the image's own bundle (https://pkg.go.dev/crypto/x509#SystemCertPool).
            "extraEnvVars": [{"name": _CERTIFICATES, "value": _TRUST}],
        }
    return values


def joined_paths(variables: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Environment variables in which the folders with certificates, of the login and of the store, are one list."""
    folders = [str(one["value"]) for one in variables if one.get("name") == _CERTIFICATES and one.get("value")]
    if len(folders) < 2:
        return list(variables)
    others = [one for one in variables if one.get("name") != _CERTIFICATES]
    return [*others, {"name": _CERTIFICATES, "value": ":".join(folders)}]

"""How Flyte opens its object store, as values of the chart."""

from typing import Any

from components.object_store import AUTHORITY_FILE, ObjectStore

STORE_TRUST = "/etc/flyte/store-trust"
"""Folder with the certificate of the private authority of the object store."""
STORE_KEY = "object-store-key"
"""Key of the Secret with Flyte's own key of the object store, and name of the file in Flyte's pod."""
_CONFIGURATION = "/etc/flyte/config.d"  # the chart mounts the Secret there; Flyte itself reads only *.yaml
_VOLUME = "store-trust"


def store_values(store: ObjectStore, endpoint: str, authority: str) -> dict[str, Any]:
    """Values of the chart for the object store; they contain no key.

    Flyte's configuration has no key either: Flyte would write it into the arguments of the co-pilot, in every pod of a
    raw-container task (https://github.com/flyteorg/flyte/blob/v1.16.8/flyteplugins/go/tasks/pluginmachinery/flytek8s/copilot.go).
    AWS' library finds it in a file, in Flyte's pod only.

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
    deployment: dict[str, Any] = {}
    if store.key:
        deployment["extraEnvVars"] = [{"name": "AWS_SHARED_CREDENTIALS_FILE", "value": f"{_CONFIGURATION}/{STORE_KEY}"}]
    if authority:
        items = [{"key": AUTHORITY_FILE, "path": AUTHORITY_FILE}]
        deployment |= {
            "extraVolumes": [{"name": _VOLUME, "configMap": {"name": authority, "items": items}}],
            "extraVolumeMounts": [{"name": _VOLUME, "mountPath": STORE_TRUST, "readOnly": True}],
        }
    return {**values, "deployment": deployment} if deployment else values

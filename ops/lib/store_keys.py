"""Whether the object store accepts the keys that the stack has created for Flyte and for the tasks."""

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from components.object_store import minio
from ops.lib.client import Client
from ops.lib.client_endpoints import ClientEndpoint
from ops.lib.forwards import Forward
from ops.lib.kubectl import Cluster, documents
from ops.lib.port_holder import ForwardError
from settings.errors import SettingsError

# Users that are tried at one time.
_AT_ONCE = 8
# What the store answers to a user that is missing, has another key, or has lost its policy.
_REJECTED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"}


def rejected_users(cluster: Cluster, namespace: str, client: Client) -> list[str]:
    """Return the users whose key the object store rejects; none if store or cluster does not answer.

    No user can change a key. Someone with the root credential can, and then tasks fail although every object in the
    cluster is as Pulumi left it.

    Args:
        cluster: cluster of the stack.
        namespace: namespace of the object store.
        client: client of the stack.
    """
    endpoint = ClientEndpoint("objectStore", client.object_store, minio.SERVICE, minio.PORT)
    forward = Forward(cluster, namespace, endpoint, hidden=True)
    try:
        keys = _keys(cluster, namespace)
        if not keys:
            return []
        forward.start()
        host, port = forward.place or ("", 0)
        direct = replace(client, object_store=f"http://{host}:{port}", ca_certificate="")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            rejected = list(pool.map(lambda user: _rejects(direct, user, keys[user]), keys))
    except (SettingsError, ForwardError):
        return []
    finally:
        forward.stop()
    return [user for user, one in zip(keys, rejected, strict=True) if one]


def _keys(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Return the secret key of each user; empty if there are none yet."""
    secrets = documents(cluster.ask("get", "secrets", f"--namespace={namespace}", "--output=json"))
    found = [secret for secret in secrets if secret["metadata"]["name"].startswith(f"{minio.KEYS}-")]
    # During an update there can be two; the new one counts.
    found.sort(key=lambda secret: str(secret["metadata"]["creationTimestamp"]))
    return {user: base64.b64decode(key).decode() for user, key in found[-1]["data"].items()} if found else {}


def _rejects(client: Client, user: str, key: str) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    try:
        with client.store(user, key) as store:
            store.list_buckets()
    except ClientError as error:
        return error.response.get("Error", {}).get("Code") in _REJECTED
    except BotoCoreError:  # no answer
        return False
    return False

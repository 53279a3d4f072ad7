"""Whether the object store accepts the keys that the stack has created for Flyte and for the tasks."""

import base64
import http.client
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from components.object_store import minio
from ops.lib.client import Client
from ops.lib.client_endpoints import ClientEndpoint
from ops.lib.forwards import Forward
from ops.lib.kubectl import Cluster, documents
from ops.lib.port_holder import ForwardError
from settings.errors import SettingsError

# Connections at one time, each of which tries its part of the users.
_CONNECTIONS = 8
# What the store answers to a user that is missing, has another key, or has lost its policy.
_REJECTED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"}


def rejected_users(cluster: Cluster, namespace: str, client: Client, bucket: str) -> list[str]:
    """Return the users whose key the object store rejects; none if nothing answers, or the store is external.

    No user can change a key. Someone with the root credential can, and then tasks fail although every object in the
    cluster is as Pulumi left it.

    Args:
        cluster: cluster of the stack.
        namespace: namespace of the object store.
        client: client of the stack.
        bucket: Flyte's own bucket, whose location every user may ask for. A request for it takes the store the same
            time however many buckets there are, which a list of all buckets would not.
    """
    if not client.bundled_store:
        return []  # an external store's keys are settings
    endpoint = ClientEndpoint("objectStore", client.object_store, minio.SERVICE, minio.PORT)
    forward = Forward(cluster, namespace, endpoint, hidden=True)
    try:
        keys = _keys(cluster, namespace)
        if not keys:
            return []
        forward.start()
        place = forward.place or ("", 0)
        users = list(keys.items())
        parts = [users[first::_CONNECTIONS] for first in range(_CONNECTIONS)]
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            rejected = {
                user
                for part in pool.map(lambda part: list(_rejected(place, bucket, client.store_region, part)), parts)
                for user in part
            }
    except (SettingsError, ForwardError):
        return []
    finally:
        forward.stop()
    return [user for user in keys if user in rejected]


def _keys(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Return the secret key of each user; empty if there are none yet."""
    secrets = documents(cluster.ask("get", "secrets", f"--namespace={namespace}", "--output=json"))
    found = [secret for secret in secrets if secret["metadata"]["name"].startswith(f"{minio.KEYS}-")]
    # During an update there can be two; the new one counts.
    found.sort(key=lambda secret: str(secret["metadata"]["creationTimestamp"]))
    return {user: base64.b64decode(key).decode() for user, key in found[-1]["data"].items()} if found else {}


def _rejected(place: tuple[str, int], bucket: str, region: str, users: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Try the users, with their keys, over one connection; yield those that the store rejects until it does not answer.

    boto3 would need a client for each key, which takes longer to create than the request.
    """
    # Imported here, because it takes long.
    from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
    from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
    from botocore.credentials import Credentials  # type: ignore[import-untyped]

    host, port = place
    path = f"/{bucket}?location"
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        for user, key in users:
            request = AWSRequest("GET", f"http://{host}:{port}{path}")
            S3SigV4Auth(Credentials(user, key), "s3", region).add_auth(request)
            connection.request("GET", path, headers=dict(request.headers))
            answer = connection.getresponse().read().decode(errors="replace")
            code = re.search("<Code>(.*?)</Code>", answer)
            if code and code[1] in _REJECTED:
                yield user
    except (OSError, http.client.HTTPException):  # no answer
        return
    finally:
        connection.close()

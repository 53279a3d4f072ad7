"""The contracts of an object store: what Flyte and its tasks need of it, whichever server provides it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class StoreKey:
    """A user of the object store."""

    access_key: str
    """Name of the user."""
    secret_key: pulumi.Input[str]
    """Password of the user."""


@dataclass(frozen=True)
class ObjectStore:
    """The object store as Flyte and its tasks use it."""

    endpoint: pulumi.Input[str]
    """Address inside the cluster, such as http://minio.flyte.svc:9000."""
    bucket: str
    """Name of Flyte's own bucket."""
    key: StoreKey
    """Flyte's own key."""
    client_endpoint: str
    """Address at which clients outside the cluster reach it; uploads are signed for it."""
    task_keys: Mapping[str, StoreKey]
    """Keys of the tasks, by task namespace."""

    @property
    def task_environment(self) -> dict[str, dict[str, pulumi.Input[str]]]:
        """Environment variables with which flytekit and the co-pilot open the object store, by task namespace.

        https://docs-legacy.flyte.org/en/latest/api/flytekit/configuration.html (``FLYTE_AWS_*``)
        """
        return {
            namespace: {
                "FLYTE_AWS_ENDPOINT": self.endpoint,
                "FLYTE_AWS_ACCESS_KEY_ID": key.access_key,
                "FLYTE_AWS_SECRET_ACCESS_KEY": key.secret_key,
            }
            for namespace, key in self.task_keys.items()
        }

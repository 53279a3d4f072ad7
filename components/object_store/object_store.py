"""The contracts of an object store: what Flyte and its tasks need of it, whichever server provides it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from settings.secrets import TASK_STORE_KEY

AUTHORITY_FILE = "ca.pem"
"""Key of a ConfigMap with the certificate of a private authority."""


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
    """Address inside the cluster, such as http://minio.flyte.svc:9000; empty: AWS, which is found by its region."""
    bucket: str
    """Name of Flyte's own bucket."""
    key: StoreKey | None
    """Flyte's own key; None: a role of AWS."""
    client_endpoint: str
    """Address at which clients outside the cluster reach it; uploads are signed for it. Empty: that of AWS."""
    task_keys: Mapping[str, StoreKey | None]
    """Keys of the tasks, by task namespace; None: a role of AWS."""
    region: str = ""
    """Region for signatures; empty: the store has none."""
    tls: bool = False
    """Whether the endpoint speaks TLS."""
    authority: pulumi.Input[str] = ""
    """Name of the ConfigMap in the platform namespace with the certificate of a private authority, as `AUTHORITY_FILE`;
    empty: there is none."""
    flyte_annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations of Flyte's service account, for a role of AWS."""

    @property
    def task_environment(self) -> dict[str, dict[str, pulumi.Input[str]]]:
        """Environment variables with which flytekit opens the object store, by task namespace.

        https://docs-legacy.flyte.org/en/latest/api/flytekit/configuration.html (``FLYTE_AWS_*``)
        """
        common: dict[str, pulumi.Input[str]] = {}
        if self.endpoint != "":
            common["FLYTE_AWS_ENDPOINT"] = self.endpoint
        if self.region:
            # flytekit passes no region to the libraries below it.
            common["AWS_DEFAULT_REGION"] = self.region
        return {
            namespace: {
                **common,
                **(dict(zip(TASK_STORE_KEY, (key.access_key, key.secret_key), strict=True)) if key else {}),
            }
            for namespace, key in self.task_keys.items()
        }


@dataclass(frozen=True)
class StoreCredentials:
    """A Secret with a key of the object store, for pods that mount it as files."""

    secret: pulumi.Input[str]
    """Name of the Secret."""
    files: Mapping[str, str]
    """Names of the files by the keys of the Secret."""


@dataclass(frozen=True)
class StoreForBackup:
    """How the backup opens the object store."""

    endpoint: pulumi.Input[str]
    """Address inside the cluster."""
    reader: StoreCredentials
    """Key that reads every bucket: the files ``store-key`` and, without a ``reader_name``, ``store-user``."""
    writer: StoreCredentials
    """Key that writes every bucket: the files ``root-user`` and ``root-password``."""
    reader_name: str = ""
    """Access key of the reader, if it is a name and no secret; empty: it is in a file."""
    buckets: Sequence[str] = ()
    """Buckets of the stack, where the store has others too; empty: all that the key opens."""
    region: str = ""
    """Region for signatures; empty: the store has none."""
    authority: str = ""
    """Certificate in PEM of a private authority; empty: there is none."""

"""The object store: its contracts, what fulfils them (a server of the stack, or an external one), and its users."""

from components.object_store.external import ExternalObjectStore, ExternalObjectStoreArgs, after, external_store
from components.object_store.minio import Minio, MinioArgs, retire_users
from components.object_store.object_store import (
    AUTHORITY_FILE,
    ObjectStore,
    StoreCredentials,
    StoreForBackup,
    StoreKey,
)
from components.object_store.users import RetiredUsers, RetiredUsersArgs, StoreAdministration

__all__ = [
    "AUTHORITY_FILE",
    "ExternalObjectStore",
    "ExternalObjectStoreArgs",
    "Minio",
    "MinioArgs",
    "ObjectStore",
    "RetiredUsers",
    "RetiredUsersArgs",
    "StoreAdministration",
    "StoreCredentials",
    "StoreForBackup",
    "StoreKey",
    "after",
    "external_store",
    "retire_users",
]

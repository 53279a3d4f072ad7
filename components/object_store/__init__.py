"""The object store: the contracts :class:`ObjectStore` and :class:`StoreKey`, what fulfils them, and its users."""

from components.object_store.minio import Minio, MinioArgs
from components.object_store.object_store import ObjectStore, StoreKey
from components.object_store.users import RetiredUsers, RetiredUsersArgs, StoreAdministration

__all__ = [
    "Minio",
    "MinioArgs",
    "ObjectStore",
    "RetiredUsers",
    "RetiredUsersArgs",
    "StoreAdministration",
    "StoreKey",
]

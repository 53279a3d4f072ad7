"""What `make up` learns about the keys of the users from a real object store."""

import base64

import pytest

from ops.lib import store_keys
from ops.lib.client import Client
from ops.lib.store_keys import rejected_users
from tests.kubectl import FakeCluster, settings
from tests.scripts.store import BUCKET, SECRET_KEY, USER, Store, key_of, project, stopped_store, user_of

REMEDY = project("remedy", "development")
KEYS = {USER: SECRET_KEY, user_of(REMEDY): key_of(REMEDY)}


def secret(name: str, created: str, keys: dict[str, str]) -> dict[str, object]:
    data = {user: base64.b64encode(key.encode()).decode() for user, key in keys.items()}
    return {"kind": "Secret", "metadata": {"name": name, "creationTimestamp": created}, "data": data}


def rejected(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rejected users, with the store itself in place of the port-forward."""

    class Forward:
        place = ("127.0.0.1", store.port)

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def start(self) -> None:
            pass

        stop = start

    monkeypatch.setattr(store_keys, "Forward", Forward)
    cluster = FakeCluster()
    secrets = [
        secret("minio-keys-2", "2026-11-02T00:00:00Z", KEYS),
        secret("minio-keys-1", "2026-11-01T00:00:00Z", {USER: "of-an-update-before"}),
        secret("minio-root-1", "2026-11-03T00:00:00Z", {"root-user": "root"}),
    ]
    cluster.on("get secrets", {"items": secrets})
    return rejected_users(cluster, "flyte", Client.of(settings()), BUCKET)


def test_only_users_whose_key_the_store_rejects_are_found(monkeypatch: pytest.MonkeyPatch):
    with stopped_store() as store:
        store.start()
        store.mount(projects=[REMEDY])
        store.provision()
        assert rejected(store, monkeypatch) == []

        store.root("admin", "user", "add", "store", text=f"{USER}\nanother-key\n")
        assert rejected(store, monkeypatch) == [USER]

        store.root("admin", "user", "remove", "store", user_of(REMEDY))
        assert rejected(store, monkeypatch) == [USER, user_of(REMEDY)]

        store.provision()
        assert rejected(store, monkeypatch) == []

        store.root("admin", "policy", "detach", "store", USER, "--user", USER)
        store.stop()
        assert rejected(store, monkeypatch) == []

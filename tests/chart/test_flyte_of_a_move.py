"""What a move reads of Flyte's configuration in the cluster: the database and the store that the program gave it."""

import base64
import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
import trustme

from ops.lib.kubectl import Cluster
from ops.lib.move.flyte_config import FlyteInCluster, flyte_in_cluster
from ops.lib.recording import Recording
from settings.errors import SettingsError
from tests.conftest import run
from tests.external_store import AUTHORITY, ENDPOINT, SECRET_KEY, external
from tests.helm import template
from tests.matrix import KUBERNETES

PASSWORD = "planted-password"
DATABASE_AUTHORITY = trustme.CA().cert_pem.bytes().decode()
SERVER = {
    "mode": "external",
    "external": {
        "host": "db.home.example",
        "port": 5433,
        "database": "workflows",
        "username": "engine",
        "tls": {"certificateAuthority": DATABASE_AUTHORITY},
    },
}


class Deployed:
    """A cluster that has what the program and Helm create for a stack."""

    def __init__(self, found: Recording) -> None:
        given = [one for one in found.resources if one.type.startswith("kubernetes:core/v1:")]
        # Pulumi names most of them.
        self._objects = {(one.kind.lower(), one.object_name): _stored(one.plain) for one in given}
        self._objects |= {(one["kind"].lower(), one["metadata"]["name"]): one for one in template(found, KUBERNETES[1])}

    def ask(self, verb: str, kind: str, name: str, *_: str) -> str:
        assert verb == "get"
        found = self._objects.get((kind, name))
        return json.dumps(found) if found else ""


def _stored(one: Mapping[str, Any]) -> dict[str, Any]:
    """An object as the API server returns it."""
    data = {key: base64.b64encode(text.encode()).decode() for key, text in one.get("stringData", {}).items()}
    return {**one, **({"data": data} if data else {})}


def read(**settings: Any) -> FlyteInCluster:
    return flyte_in_cluster(cast(Cluster, Deployed(run(**settings))), "flyte")


def test_the_bundled_database_and_store_are_read_with_what_opens_them():
    found = read(postgresPassword=PASSWORD)

    assert found.database.place == ("postgres.flyte.svc", 5432, "flyte")
    assert (found.database.username, found.database.tls) == ("flyte", "disable")
    assert found.database.password == PASSWORD
    assert (found.store.endpoint, found.store.bucket) == ("http://minio.flyte.svc:9000", "flyte")
    assert found.store.access_key == "flyte"
    assert found.store.secret_key


def test_others_are_read_with_their_authorities():
    store = external(certificateAuthority=AUTHORITY, region="eu-home")

    found = read(postgres=SERVER, postgresPassword=PASSWORD, **store)

    assert found.database.place == ("db.home.example", 5433, "workflows")
    assert (found.database.username, found.database.tls) == ("engine", "verify-full")
    assert (found.database.password, found.database.authority) == (PASSWORD, DATABASE_AUTHORITY)
    assert (found.store.endpoint, found.store.region) == (ENDPOINT, "eu-home")
    assert (found.store.access_key, found.store.secret_key) == ("planted-access-flyte", f"{SECRET_KEY}flyte")
    assert found.store.authority == AUTHORITY


def test_no_password_is_in_what_is_shown_of_them():
    found = read(postgres=SERVER, postgresPassword=PASSWORD, **external())

    assert "planted-password" not in repr(found.database) + str(found.database)
    assert SECRET_KEY not in repr(found.store) + str(found.store)


def test_without_flyte_there_is_nothing_to_move():
    class Empty:
        def ask(self, *_: str) -> str:
            return ""

    with pytest.raises(SettingsError, match="Flyte is not deployed, so there is nothing to move"):
        flyte_in_cluster(cast(Cluster, Empty()), "flyte")

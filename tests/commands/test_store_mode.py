"""Whether another object store may take the place of the one with the data, and what its keys open."""

from typing import Any

import pytest

from ops.lib.state import State
from ops.lib.store_mode import check_store, isolation_warnings
from settings import settings_from
from settings.errors import SettingsError
from tests.conftest import stack
from tests.external_store import ENDPOINT, external, iam
from tests.kubectl import FakeCluster

_CLAIM = {"type": "kubernetes:core/v1:PersistentVolumeClaim", "urn": "claim", "id": "flyte/minio-data"}
# The component is there as soon as an update has begun to check the store.
_OUTSIDE = {"type": "flyte-home:index:ExternalObjectStore", "urn": "outside"}
_OWN = "http://minio.flyte.svc:9000"


def flyte(endpoint: str = _OWN, bucket: str = "flyte") -> dict[str, Any]:
    """Flyte's release with this store; without an endpoint, AWS."""
    s3 = {"region": "us-east-1", **({"endpoint": endpoint} if endpoint else {})}
    storage = {"metadataContainer": bucket, "providerConfig": {"s3": s3}}
    values = {"configuration": {"storage": storage}}
    return {"type": "kubernetes:helm.sh/v3:Release", "urn": "release", "inputs": {"values": values}}


def check(resources: list[dict[str, Any]], moved: bool = False, **settings: Any) -> None:
    check_store(State({"resources": resources}), settings_from(*stack(**settings)), "dev", moved)


def kept(**settings: Any) -> dict[str, Any]:
    return {**settings, "minio": {**settings["minio"], "keepVolume": True}}


@pytest.mark.parametrize(
    ("resources", "settings"),
    [
        ([], {}),
        ([], external()),
        ([flyte(), _CLAIM], {}),
        ([flyte(ENDPOINT), _OUTSIDE], external()),
        ([flyte(""), _OUTSIDE], iam()),
        # A first update that failed before Flyte was there: no store has data.
        ([_OUTSIDE], external()),
        ([_OUTSIDE, _CLAIM], {}),
        # Own values of the chart are none of this check's business.
        ([flyte("https://own.example"), _CLAIM], {}),
    ],
)
def test_a_stack_keeps_its_store_and_a_new_one_may_have_any(resources: list[dict[str, Any]], settings: dict[str, Any]):
    check(resources, **settings)


@pytest.mark.parametrize(
    ("resources", "settings", "key"),
    [
        ([flyte(), _CLAIM], external(), "minio.mode"),
        ([flyte(ENDPOINT), _OUTSIDE], {}, "minio.mode"),
        ([flyte("https://other.example"), _OUTSIDE], external(), "minio.external"),
        ([flyte(ENDPOINT, "other"), _OUTSIDE], external(), "minio.external"),
        ([flyte(""), _OUTSIDE], external(), "minio.external"),
    ],
)
def test_another_store_is_rejected_until_the_data_is_there(
    resources: list[dict[str, Any]], settings: dict[str, Any], key: str
):
    with pytest.raises(SettingsError) as rejected:
        check(resources, **settings)

    assert str(rejected.value).startswith(f"flyte-home:{key}: ")
    assert "Nothing was changed" in str(rejected.value)
    assert "make up STACK=dev STORE_MOVED=yes" in str(rejected.value)


def test_the_volume_of_the_server_must_be_kept_even_after_the_data_has_moved():
    with pytest.raises(SettingsError, match=r"minio\.keepVolume: is false, so the volume minio-data"):
        check([flyte(), _CLAIM], moved=True, **external())

    check([flyte(), _CLAIM], moved=True, **kept(**external()))
    check([flyte(), {**_CLAIM, "retainOnDelete": True}], moved=True, **external())


def test_after_a_store_that_did_not_pass_its_check_the_one_with_the_data_is_accepted():
    """The failed update has left the component of the other store in the state."""
    check([flyte(), _CLAIM, _OUTSIDE])
    with pytest.raises(SettingsError, match="its data is in the bundled server"):
        check([flyte(), _CLAIM, _OUTSIDE], **kept(**external()))


def test_up_says_once_what_the_keys_open_beyond_their_own_data():
    cluster = FakeCluster()
    line = "warning: flyte-home:objectStoreKey-a-b also opens the bucket c"
    cluster.on("logs --selector=name=check", f"store-check: waiting\n{line}\n{line}\nstore-check: done\n")

    assert isolation_warnings(cluster, "flyte", "name=check") == [line.removeprefix("warning: ")]
    assert isolation_warnings(FakeCluster(), "flyte", "name=check") == []

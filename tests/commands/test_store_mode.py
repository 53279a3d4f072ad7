"""Whether another object store may take the place of the one with the data, and what its keys open."""

from typing import Any

import pytest

from ops.lib.state import State
from ops.lib.store_mode import check_store, isolation_warnings
from settings import settings_from
from settings.errors import SettingsError
from tests.conftest import stack
from tests.external_store import ENDPOINT, external
from tests.kubectl import FakeCluster

_RELEASE = {"type": "kubernetes:helm.sh/v3:Release", "urn": "release"}
_MINIO = {"type": "flyte-home:index:Minio", "urn": "minio", "outputs": {"endpoint": "http://minio.flyte.svc:9000"}}
_CLAIM = {"type": "kubernetes:core/v1:PersistentVolumeClaim", "urn": "claim", "id": "flyte/minio-data"}


def outside(endpoint: str = ENDPOINT, bucket: str = "flyte") -> dict[str, Any]:
    outputs = {"endpoint": endpoint, "bucket": bucket}
    return {"type": "flyte-home:index:ExternalObjectStore", "urn": endpoint, "outputs": outputs}


def check(resources: list[dict[str, Any]], moved: bool = False, **settings: Any) -> None:
    check_store(State({"resources": resources}), settings_from(*stack(**settings)), "dev", moved)


def kept(**settings: Any) -> dict[str, Any]:
    return {**settings, "minio": {**settings["minio"], "keepVolume": True}}


@pytest.mark.parametrize(
    ("resources", "settings"),
    [
        ([], {}),
        ([], external()),
        ([_RELEASE, _MINIO, _CLAIM], {}),
        ([_RELEASE, outside()], external()),
        # A first update that failed before Flyte was there: no store has data.
        ([outside("https://wrong.example")], external()),
        ([_MINIO, _CLAIM], kept(**external())),
    ],
)
def test_a_stack_keeps_its_store_and_a_new_one_may_have_any(resources: list[dict[str, Any]], settings: dict[str, Any]):
    check(resources, **settings)


@pytest.mark.parametrize(
    ("resources", "settings", "key"),
    [
        ([_RELEASE, _MINIO, _CLAIM], external(), "minio.mode"),
        ([_RELEASE, outside()], {}, "minio.mode"),
        ([_RELEASE, outside("https://other.example")], external(), "minio.external"),
        ([_RELEASE, outside(bucket="other")], external(), "minio.external"),
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
        check([_RELEASE, _MINIO, _CLAIM], moved=True, **external())

    check([_RELEASE, _MINIO, _CLAIM], moved=True, **kept(**external()))
    check([_RELEASE, _MINIO, {**_CLAIM, "retainOnDelete": True}], moved=True, **external())


def test_an_interrupted_change_of_the_store_can_go_on_or_back():
    between = [_RELEASE, _MINIO, {**_CLAIM, "retainOnDelete": True}, outside()]

    check(between, **kept(**external()))
    check(between)


def test_a_kept_volume_alone_is_no_server():
    with pytest.raises(SettingsError, match="its data is in the bucket 'flyte' at https"):
        check([_RELEASE, {**_MINIO, "outputs": {}}, outside()])


def test_up_says_once_what_the_keys_open_beyond_their_own_data():
    cluster = FakeCluster()
    line = "warning: flyte-home:objectStoreKey-a-b also opens the bucket c"
    cluster.on("logs --selector=name=check", f"store-check: waiting\n{line}\n{line}\nstore-check: done\n")

    assert isolation_warnings(cluster, "flyte", "name=check") == [line.removeprefix("warning: ")]
    assert isolation_warnings(FakeCluster(), "flyte", "name=check") == []

"""The settings of an external object store: what they may be, what each needs, and the messages about wrong ones."""

import json
from typing import Any

import pytest

from settings import rules, settings_from
from settings.errors import SettingsError
from settings.external_keys import external_keys
from settings.external_store import ExternalStore
from tests.conftest import stack
from tests.external_store import AUTHORITY, ENDPOINT, SECRET_KEY, external, iam, key
from tests.unit.test_backup_settings import S3, STORE_SECRET

_BACKUP = {"backup": S3, "backupCredentials": STORE_SECRET}
_PORT = {"objectStore": "http://127.0.0.1:9100"}
_EXPIRING = {"objects": 90, "executions": 30, "cache": 30}
_LIMITED = [{"name": "remedy", "bucketQuota": "1Gi"}]
FLYTE, TASKS = "objectStoreKey", "objectStoreKey-remedy-development"


def inside(host: str, **more: Any) -> dict[str, Any]:
    """Settings with a store that is a Service of the cluster."""
    return external(endpoint=f"http://{host}:3900", networks=[], **more)


def problems(**settings: Any) -> tuple[str, ...]:
    """The messages about settings that are rejected."""
    with pytest.raises(SettingsError) as rejected:
        settings_from(*stack(**settings))
    return rejected.value.problems


def warnings(**settings: Any) -> list[str]:
    """The warnings about the object store."""
    loaded = settings_from(*stack(**settings))
    return [one for one in rules.warnings(loaded) if "minio.external" in one]


# --- what is accepted ---------------------------------------------------------------------------------------------


def test_the_server_of_the_stack_is_the_default_and_needs_no_key():
    settings = settings_from(*stack())

    assert settings.minio.mode == "bundled"
    assert settings.minio.used_external is None
    assert settings.endpoints.object_store == "http://127.0.0.1:9000"
    assert settings.endpoints.bundled_store


def test_clients_reach_an_external_store_at_its_own_address():
    same = settings_from(*stack(**external())).endpoints
    other = settings_from(*stack(**external(clientEndpoint="https://s3.example.com"))).endpoints

    assert (same.object_store, same.bundled_store, same.store_region) == (ENDPOINT, False, "us-east-1")
    assert other.object_store == "https://s3.example.com"


@pytest.mark.parametrize(
    ("described", "address", "custom", "port"),
    [
        ({"endpoint": "http://192.168.1.20:9000"}, "http://192.168.1.20:9000", "http://192.168.1.20:9000", 9000),
        ({"endpoint": "https://s3.example.com/"}, "https://s3.example.com", "https://s3.example.com", 443),
        ({"endpoint": "http://s3.example.com"}, "http://s3.example.com", "http://s3.example.com", 80),
        ({"endpoint": "aws", "region": "eu-central-1"}, "https://s3.eu-central-1.amazonaws.com", "", 443),
        ({"endpoint": "aws", "region": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn", "", 443),
    ],
)
def test_the_address_of_the_store_follows_from_endpoint_and_region(
    described: dict[str, str], address: str, custom: str, port: int
):
    store = ExternalStore.model_validate(described)

    assert (store.address, store.custom_endpoint, store.port) == (address, custom, port)


def test_a_service_of_the_cluster_is_recognized_by_its_name():
    service = ExternalStore(endpoint="http://garage.storage.svc.cluster.local:3900")

    assert service.service_namespace == "storage"
    assert ExternalStore(endpoint=ENDPOINT).service_namespace == ""


def test_each_user_gets_its_own_key():
    keys = external_keys(settings_from(*stack(**external("development", "production", backup=True))))

    assert keys.flyte
    assert keys.backup
    assert keys.flyte.secret_key == f"{SECRET_KEY}flyte"
    assert keys.backup.access_key == "planted-access-backup"
    assert {name: found.secret_key for name, found in keys.tasks.items()} == {
        "remedy-development": f"{SECRET_KEY}development",
        "remedy-production": f"{SECRET_KEY}production",
    }


def test_roles_of_aws_need_no_keys():
    keys = external_keys(settings_from(*stack(**iam())))

    assert (keys.flyte, dict(keys.tasks), keys.backup) == (None, {}, None)


def test_an_external_store_may_be_described_before_the_data_is_moved_to_it():
    prepared = external()
    settings = settings_from(*stack(**{**prepared, "minio": {**prepared["minio"], "mode": "bundled"}}))

    assert settings.minio.used_external is None
    assert settings.endpoints.bundled_store


def test_an_ingress_needs_no_host_for_a_store_that_is_not_behind_it():
    ingress = {
        "controller": "traefik",
        "hosts": {"console": "flyte.home.example"},
        "withoutLogin": {"reason": "a test"},
    }

    assert settings_from(*stack(**external(), ingress=ingress)).endpoints.object_store == ENDPOINT
    (problem,) = problems(ingress=ingress)
    assert "has no host for the object store" in problem
    assert "pulumi config set --path flyte-home:ingress.hosts.objectStore s3.home.example" in problem


# --- what is rejected ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "key_of_message", "remedy"),
    [
        (external(endpoint=""), "minio.external.endpoint", "s3.home.example:9000"),
        (external(endpoint="s3.home.example"), "minio.external.endpoint", "https://s3.home.example:9000"),
        (external(endpoint="https://user:word@s3.home.example"), "minio.external.endpoint", "without a path"),
        (external(endpoint="http://127.0.0.1:9000", networks=[]), "minio.external.endpoint", "192.168.1.20:9000"),
        (inside("minio.flyte.svc", clientEndpoint=ENDPOINT), "minio.external.endpoint", "bundled"),
        (inside("garage.storage.svc"), "minio.external.clientEndpoint", "laptops"),
        (external(endpoint="http://192.168.1.20:9000"), "minio.external.networks", "config rm"),
        (external(region="no region"), "minio.external.region", "us-east-1"),
        (external(certificateAuthority="none"), "minio.external.certificateAuthority", "PEM"),
        (external(flyteAnnotations={"a/b": "c"}), "minio.external.flyteAnnotations", "iam"),
        (external(tasks=False), TASKS, "sharedKey true"),
        ({**external(), FLYTE: None}, FLYTE, "secretAccessKey"),
        ({**external(), FLYTE: "access:secret"}, FLYTE, "JSON object"),
        ({**external(), FLYTE: '{"accessKeyId": "a:b", "secretAccessKey": "c"}'}, FLYTE, "ASCII"),
        ({**external(), TASKS.replace("-", "__"): key("flyte")}, TASKS, "sharedKey"),
        ({**external(), "clientEndpoints": _PORT}, "clientEndpoints.objectStore", "clientEndpoint"),
        ({**external(), "retention": _EXPIRING}, "retention.objects", "lifecycle"),
        ({**external(), "projects": _LIMITED}, "projects[0].bucketQuota", "in the store"),
        (iam(endpoint=ENDPOINT), "minio.external.auth", "keys"),
        (iam(sharedKey=True), "minio.external.sharedKey", "config rm"),
        (iam(taskAnnotations={}), "minio.external.taskAnnotations", "role"),
        (iam(taskAnnotations={"a/b": "role-{stack}"}), "minio.external.taskAnnotations", "placeholder"),
        ({**iam(), FLYTE: key("flyte")}, FLYTE, "config rm"),
        ({**iam(), **_BACKUP}, "objectStoreKey-backup", "--secret"),
        ({FLYTE: key("flyte")}, FLYTE, "minio.external is empty"),
        ({"minio": {"keepVolume": True}}, "minio.keepVolume", "config rm"),
    ],
)
def test_each_mistake_is_one_message_with_the_setting_and_the_remedy(
    settings: dict[str, Any], key_of_message: str, remedy: str
):
    (problem,) = problems(**settings)

    assert problem.startswith(f"flyte-home:{key_of_message}:")
    assert remedy in problem


def test_an_authority_without_tls_has_no_effect():
    settings = external(endpoint="http://s3.home.example", certificateAuthority=AUTHORITY)
    (problem,) = problems(**settings)

    assert problem.startswith("flyte-home:minio.external.certificateAuthority: has no effect")


def test_no_message_contains_a_key():
    wrong = json.dumps({"accessKeyId": "planted access", "secretAccessKey": "planted secret"})
    settings = {**external("development", "production"), "objectStoreKey": wrong}
    settings["objectStoreKey__remedy__production"] = settings["objectStoreKey__remedy__development"]

    assert len(problems(**settings)) == 2
    assert not any("planted" in problem for problem in problems(**settings))


def test_a_key_in_plain_text_is_rejected():
    config, secrets = stack(**external())
    with pytest.raises(SettingsError, match="objectStoreKey: is stored in plain text"):
        settings_from(config, secrets - {"flyte-home:objectStoreKey"})


def test_a_key_of_a_project_that_is_not_there_is_no_setting():
    (problem,) = problems(**external(), objectStoreKey__other__development=key("other"))

    assert problem.startswith("flyte-home:objectStoreKey-other-development: there is no such setting")


# --- what is said -------------------------------------------------------------------------------------------------


def test_a_shared_key_is_accepted_with_a_warning_that_names_who_has_it():
    settings = external("development", "production", tasks=False, sharedKey=True)
    (warning,) = warnings(**settings)
    (of_one,) = warnings(**settings, objectStoreKey__remedy__production=key("production"))

    assert "remedy-development, remedy-production have Flyte's own key" in warning
    assert "remedy-production" not in of_one


def test_a_way_without_tls_is_said_except_inside_the_cluster():
    outside = external(endpoint="http://192.168.1.20:9000", networks=[])
    service = inside("garage.storage.svc", clientEndpoint=ENDPOINT)

    assert "has no TLS" in warnings(**outside)[0]
    assert warnings(**service) == warnings(**external()) == warnings(**iam()) == []

"""A stack that uses an object store of others: what is created for it, what is not, and who gets which key."""

import base64
import json
from typing import Any

import pytest

from components.object_store.external import CHECK
from ops.lib.recording import Recording, Resource, Secret
from tests.conftest import containers, run
from tests.external_store import AUTHORITY, ENDPOINT, ROLE, SECRET_KEY, external, iam, key
from tests.network import PLACES, Place, allowed, policies_of
from tests.unit.test_backup_settings import S3, STORE_SECRET

_BACKUP = {"backup": S3, "backupCredentials": STORE_SECRET}


@pytest.fixture(scope="module")
def outside() -> Recording:
    """A stack with an external store, two domains and a backup."""
    return run(**external("development", "production", certificateAuthority=AUTHORITY), **_BACKUP)


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def task_environment(recording: Recording, namespace: str) -> dict[str, str]:
    data = recording.one("Secret", f"flyte-object-store-{namespace}").plain["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def pod(found: Resource) -> dict[str, Any]:
    spec = found.plain["spec"]
    template: dict[str, Any] = spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec["template"]
    return template["spec"]


# --- what is created ----------------------------------------------------------------------------------------------


def test_the_stack_has_no_server_no_volume_and_no_users_of_its_own(outside: Recording):
    names = {found.name for found in outside.resources if found.custom}

    assert not [name for name in names if name.startswith("minio") or name.startswith("retired")]
    assert not outside.of("Minio")
    assert "minio" not in json.dumps(outside.outputs)


def test_by_default_nothing_of_an_external_store_is_there(dev: Recording):
    assert not dev.of("ExternalObjectStore")
    assert not [found.name for found in dev.resources if found.name.startswith("object-store")]


def test_everything_else_waits_for_the_check_of_the_store(outside: Recording):
    """An update that fails there has changed nothing."""
    job = outside.one("Job", "object-store-check")
    components = [found for found in outside.resources if not found.custom]
    before = {"cluster", "object-store"}

    waiting = {found.name for found in components if job.urn in found.dependencies}
    assert waiting == {found.name for found in components} - before
    order = [found.urn for found in outside.resources]
    first = order.index(job.urn)
    early = {found.type for found in outside.resources[:first] if found.custom}
    assert not early & {"kubernetes:helm.sh/v3:Release", "kubernetes:apps/v1:StatefulSet"}


def test_the_check_gets_the_store_and_every_key_as_files(outside: Recording):
    job = outside.one("Job", "object-store-check")
    (container,) = containers(job.plain)
    keys = outside.one("Secret", "object-store-keys").plain["stringData"]
    files = outside.one("ConfigMap", "object-store-check").plain["data"]

    assert environment(container)["STORE_URL"] == ENDPOINT
    assert environment(container)["MC_REGION"] == "us-east-1"
    assert set(keys) == {
        f"{user}.{part}"
        for user in ("flyte", "remedy-development", "remedy-production")
        for part in ("access", "secret")
    }
    assert files["buckets"].split() == ["flyte", "remedy-development", "remedy-production"]
    assert files["scopes"].splitlines()[0] == "remedy-development remedy-development remedy development"
    assert not [one for one in container["env"] if "valueFrom" in one]


def test_the_check_runs_again_when_what_it_checks_changes(outside: Recording):
    settings = external("development", "production", certificateAuthority=AUTHORITY)
    name = outside.one("Job", "object-store-check").manifest["metadata"]["name"]
    store = settings["minio"]
    others = [
        {"objectStoreKey": key("another")},
        {"minio": {**store, "bucket": "other"}},
        {"minio": {**store, "external": {**store["external"], "region": "eu-home"}}},
        {"minio": {**store, "external": {**store["external"], "endpoint": "https://s3.other.example"}}},
    ]
    for other in others:
        job = run(**{**settings, **other}, **_BACKUP).one("Job", "object-store-check")
        assert job.manifest["metadata"]["name"] != name, other


def test_a_failed_check_is_not_repeated_but_its_message_is_kept(outside: Recording):
    spec = outside.one("Job", "object-store-check").plain["spec"]

    assert spec["backoffLimit"] == 0
    assert containers({"spec": spec})[0]["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_the_volume_of_the_former_server_stays_the_same_if_it_is_kept(dev: Recording):
    settings = external()
    kept = run(**{**settings, "minio": {**settings["minio"], "keepVolume": True}})
    claim = kept.one("PersistentVolumeClaim", "minio-data")

    assert claim.urn == dev.one("PersistentVolumeClaim", "minio-data").urn
    assert claim.retain_on_delete
    assert claim.ignore_changes == ["spec"]
    assert not kept.of("StatefulSet", "minio")


# --- who gets which key -------------------------------------------------------------------------------------------


def test_flyte_and_the_tasks_of_each_scope_get_their_own_key(outside: Recording):
    own = outside.one("Secret", "flyte-config").plain["stringData"]["object-store-key"]
    development, production = (task_environment(outside, f"remedy-{one}") for one in ("development", "production"))

    assert own == (f"[default]\naws_access_key_id = planted-access-flyte\naws_secret_access_key = {SECRET_KEY}flyte\n")
    assert development == {
        "FLYTE_AWS_ENDPOINT": ENDPOINT,
        "FLYTE_AWS_ACCESS_KEY_ID": "planted-access-development",
        "FLYTE_AWS_SECRET_ACCESS_KEY": f"{SECRET_KEY}development",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    assert production["FLYTE_AWS_SECRET_ACCESS_KEY"] == f"{SECRET_KEY}production"


def test_with_a_shared_key_only_tasks_without_their_own_get_the_one_of_flyte():
    settings = external("development", "production", tasks=False, sharedKey=True)
    found = run(**settings, objectStoreKey__remedy__production=key("production"))

    assert task_environment(found, "remedy-development")["FLYTE_AWS_ACCESS_KEY_ID"] == "planted-access-flyte"
    assert task_environment(found, "remedy-production")["FLYTE_AWS_ACCESS_KEY_ID"] == "planted-access-production"
    scopes = found.one("ConfigMap", "object-store-check").plain["data"]["scopes"]
    assert [line.split()[0] for line in scopes.splitlines()] == ["remedy-production"]


def test_no_key_is_in_plain_text_anywhere(outside: Recording):
    def plain_texts(value: Any) -> list[str]:
        if isinstance(value, Secret):
            return []
        if isinstance(value, dict):
            return [text for item in value.values() for text in plain_texts(item)]
        if isinstance(value, list):
            return [text for item in value for text in plain_texts(item)]
        return [str(value)]

    texts = [text for found in outside.resources for text in plain_texts(found.inputs)]
    encoded = [base64.b64encode(text.encode()).decode()[:-4] for text in (SECRET_KEY, "planted-access-")]
    assert len(texts) > 1000
    assert not [text for text in texts for part in (SECRET_KEY, "planted-access-", *encoded) if part in text]


def test_the_keys_are_in_no_pod_but_those_that_need_them(outside: Recording):
    secret = outside.one("Secret", "object-store-keys").manifest["metadata"]["name"]
    users = {found.name for found in outside.resources if found.kind != "Secret" and secret in json.dumps(found.plain)}

    assert users == {"object-store-check", "backup", "backup-check", "backup-restore"}


# --- Flyte --------------------------------------------------------------------------------------------------------


def test_flyte_uses_the_endpoint_the_region_and_the_authority_of_the_store(outside: Recording):
    values = outside.one("Release").plain["values"]
    deployment = values["deployment"]

    assert values["configuration"]["storage"]["providerConfig"]["s3"] == {
        "endpoint": ENDPOINT,
        "region": "us-east-1",
        "disableSSL": False,
        "authType": "iam",
    }
    assert values["configuration"]["inline"]["storage"]["signedURL"] == {"stowConfigOverride": {"endpoint": ENDPOINT}}
    (folder,) = [one["value"] for one in deployment["extraEnvVars"] if one["name"] == "SSL_CERT_DIR"]
    (mount,) = [one for one in deployment["extraVolumeMounts"] if one["mountPath"] == folder]
    (volume,) = [one for one in deployment["extraVolumes"] if one["name"] == mount["name"]]
    authority = outside.one("ConfigMap", "object-store-authority").manifest
    assert volume["configMap"]["name"] == authority["metadata"]["name"]
    assert authority["data"] == {"ca.pem": AUTHORITY}


def test_flyte_trusts_the_authorities_of_the_login_and_of_the_store():
    found = run(
        **external(certificateAuthority=AUTHORITY),
        auth={"issuer": "https://id.home.example", "caCertificate": AUTHORITY},
        oidcClientSecret="planted",
    )
    variables = found.one("Release").plain["values"]["deployment"]["extraEnvVars"]

    (folders,) = [one["value"] for one in variables if one["name"] == "SSL_CERT_DIR"]
    assert folders.split(":") == ["/etc/flyte/trust", "/etc/flyte/store-trust"]


def test_uploads_are_signed_for_the_address_of_laptops():
    found = run(**external(clientEndpoint="https://s3.example.com"))
    configuration = found.one("Release").plain["values"]["configuration"]

    assert configuration["storage"]["providerConfig"]["s3"]["endpoint"] == ENDPOINT
    assert configuration["inline"]["storage"]["signedURL"]["stowConfigOverride"]["endpoint"] == "https://s3.example.com"


def test_aws_gets_no_endpoint_and_so_no_paths_instead_of_hosts():
    found = run(**iam("development", region="eu-central-1"))
    values = found.one("Release").plain["values"]

    assert values["configuration"]["storage"]["providerConfig"]["s3"] == {
        "region": "eu-central-1",
        "disableSSL": False,
        "authType": "iam",
    }
    assert (
        "storage" not in values["configuration"]["inline"]
        or "signedURL" not in values["configuration"]["inline"]["storage"]
    )
    assert task_environment(found, "remedy-development") == {"AWS_DEFAULT_REGION": "eu-central-1"}


def test_roles_of_aws_belong_to_service_accounts_and_there_is_no_key():
    found = run(**iam("development", "production"))
    account = found.one("ServiceAccount", "remedy-production").manifest

    assert found.one("Release").plain["values"]["serviceAccount"]["annotations"] == {
        ROLE: "arn:aws:iam::123456789012:role/flyte"
    }
    assert account["metadata"]["annotations"] == {ROLE: "arn:aws:iam::123456789012:role/tasks-remedy-production"}
    assert "object-store-key" not in found.one("Secret", "flyte-config").plain["stringData"]
    assert not found.one("Secret", "object-store-keys").plain["stringData"]


def test_only_with_roles_a_task_pod_may_have_a_token_and_only_for_aws(outside: Recording, dev: Recording):
    def expressions(recording: Recording) -> str:
        return json.dumps(recording.one("ValidatingAdmissionPolicy").plain)

    assert "s.serviceAccountToken.audience == 'sts.amazonaws.com'" in expressions(run(**iam()))
    assert "audience ==" not in expressions(outside)
    assert "audience ==" not in expressions(dev)


# --- tasks --------------------------------------------------------------------------------------------------------


def test_every_container_of_a_task_trusts_the_authority_of_the_store(outside: Recording):
    spec = outside.one("PodTemplate", "remedy-production").plain["template"]["spec"]
    manifest = outside.one("ConfigMap", "remedy-production-store-authority").manifest

    assert spec["volumes"] == [
        {"name": "flyte-object-store-authority", "configMap": {"name": "flyte-object-store-authority"}}
    ]
    assert manifest["metadata"]["name"] == "flyte-object-store-authority"
    assert manifest["data"] == {"ca.pem": AUTHORITY}
    for container in (*spec["containers"], *spec["initContainers"]):
        (mount,) = container["volumeMounts"]
        assert environment(container)["AWS_CA_BUNDLE"] == f"{mount['mountPath']}/ca.pem"
        assert environment(container)["SSL_CERT_DIR"].split(":") == ["/etc/ssl/certs", mount["mountPath"]]


def test_without_a_private_authority_task_pods_are_as_ever(dev: Recording):
    template = run(**external()).one("PodTemplate", "remedy-development").plain["template"]

    assert template == dev.one("PodTemplate", "remedy-development").plain["template"]


# --- the network --------------------------------------------------------------------------------------------------


_OTHER = Place("192.168.1.21")
_CHECK = Place("10.42.0.30", "flyte", {"app.kubernetes.io/name": CHECK})
_GARAGE = Place("10.42.0.31", "storage", {"app.kubernetes.io/name": "garage"})


def ways(*targets: Place, port: int = 9000, **settings: Any) -> list[bool]:
    """Whether Flyte, a task and the check all reach each target, or none of them does."""
    policies = policies_of(run(**settings))
    found = []
    for target in targets:
        reached = {allowed(policies, source, target, port) for source in (PLACES["flyte"], PLACES["task"], _CHECK)}
        assert len(reached) == 1, target
        found.append(reached.pop())
    return found


def test_only_the_address_and_port_of_the_store_are_open():
    closed = {"egress": {"internet": False}}
    settings = external(endpoint="http://192.168.1.20:9000", networks=[])

    assert ways(PLACES["nas"], _OTHER, PLACES["internet"], **settings, tasks=closed) == [True, False, False]
    assert ways(PLACES["nas"], port=443, **settings, tasks=closed) == [False]


def test_a_name_leads_to_public_addresses_or_to_the_networks_of_the_settings():
    closed = {"egress": {"internet": False}}

    assert ways(PLACES["nas"], PLACES["internet"], **external(networks=[]), tasks=closed) == [False, True]
    assert ways(PLACES["nas"], PLACES["internet"], **external(), tasks=closed) == [True, False]


def test_a_store_in_the_cluster_is_open_by_its_namespace():
    settings = external(endpoint="http://garage.storage.svc:3900", networks=[], clientEndpoint=ENDPOINT)
    closed = {"egress": {"internet": False}}

    assert ways(_GARAGE, PLACES["pod of another namespace"], port=3900, **settings, tasks=closed) == [True, False]


def test_with_roles_pods_reach_public_addresses_because_roles_are_exchanged_there():
    assert ways(PLACES["internet"], port=443, **iam(networks=["192.168.1.20/32"])) == [True]


def test_the_policies_of_the_former_server_are_gone(outside: Recording):
    policies = {found.manifest["metadata"]["name"] for found in outside.of("NetworkPolicy")}

    assert not policies & {"minio", "minio-provision"}
    assert CHECK in policies


# --- the backup ---------------------------------------------------------------------------------------------------


def step(recording: Recording, job: str, name: str) -> tuple[dict[str, str], dict[str, str], dict[str, Any]]:
    """The environment of a step, the mounts by path, and the volumes of its pod by name."""
    spec = pod(recording.one("CronJob", job))
    (container,) = [one for one in (*spec["initContainers"], *spec["containers"]) if one["name"] == name]
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    return environment(container), mounts, {one["name"]: one for one in spec["volumes"]}


def test_the_backup_reads_the_buckets_of_the_stack_with_the_key_of_flyte(outside: Recording):
    variables, mounts, volumes = step(outside, "backup", "copy")
    (secret,) = [volumes[name]["secret"] for path, name in mounts.items() if path == variables["SOURCES"]]

    assert variables["STORE_URL"] == ENDPOINT
    assert variables["BUCKETS"].split() == ["flyte", "remedy-development", "remedy-production"]
    assert variables["MC_REGION"] == "us-east-1"
    assert "STORE_USER" not in variables
    assert {item["key"]: item["path"] for item in secret["items"]} == {
        "flyte.access": "store-user",
        "flyte.secret": "store-key",
    }
    trusted = volumes[mounts[variables["SSL_CERT_DIR"]]]["configMap"]
    scripts = outside.one("ConfigMap", "backup-scripts").manifest
    assert trusted["name"] == scripts["metadata"]["name"]
    assert scripts["data"][trusted["items"][0]["key"]] == AUTHORITY


def test_the_backup_reads_with_its_own_key_if_it_has_one_and_a_restore_writes_with_that_of_flyte():
    found = run(**external(backup=True), **_BACKUP)

    def keys(job: str, name: str) -> set[str]:
        variables, mounts, volumes = step(found, job, name)
        (secret,) = [volumes[name]["secret"] for path, name in mounts.items() if path == variables["SOURCES"]]
        return {item["key"] for item in secret["items"]}

    assert keys("backup", "copy") == {"backup.access", "backup.secret"}
    assert keys("backup-restore", "objects") == {"flyte.access", "flyte.secret"}


def test_with_roles_the_backup_reads_and_writes_with_its_own_key():
    found = run(**iam(), objectStoreKey__backup=key("backup"), **_BACKUP)
    variables, mounts, volumes = step(found, "backup-restore", "objects")

    (secret,) = [volumes[name]["secret"] for path, name in mounts.items() if path == variables["SOURCES"]]
    assert {item["path"] for item in secret["items"]} == {"root-user", "root-password"}
    assert variables["STORE_URL"] == "https://s3.us-east-1.amazonaws.com"


def test_a_rehearsal_restores_into_a_server_of_its_own(outside: Recording):
    variables, _, _ = step(outside, "backup-drill", "objects")

    assert variables["STORE_URL"] == "http://127.0.0.1:9000"
    assert "BUCKETS" not in variables
    assert "SSL_CERT_DIR" not in variables

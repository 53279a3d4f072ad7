"""The task secrets."""

import base64
import json

from ops.lib.recording import Recording, Secret
from tests.conftest import TIDAL, run


def value(recording: Recording, name: str, key: str) -> str:
    return base64.b64decode(recording.one("Secret", name).plain["data"][key]).decode()


def test_every_namespace_of_the_project_has_the_tidal_credentials_under_the_name_the_task_uses(dev: Recording):
    for domain in ("development", "staging", "production"):
        manifest = dev.one("Secret", f"tidal-creds-remedy-{domain}").manifest
        assert manifest["metadata"]["name"] == "tidal-creds"
        assert manifest["metadata"]["namespace"] == f"remedy-{domain}"
        assert value(dev, f"tidal-creds-remedy-{domain}", "json") == TIDAL


def test_a_domain_can_have_different_credentials_under_the_same_name():
    recording = run(tidalCreds__production='{"token": "p"}')

    assert value(recording, "tidal-creds-remedy-production", "json") == '{"token": "p"}'
    assert value(recording, "tidal-creds-remedy-staging", "json") == TIDAL
    assert recording.one("Secret", "tidal-creds-remedy-production").manifest["metadata"]["name"] == "tidal-creds"


def test_a_project_that_does_not_ask_for_credentials_gets_none():
    recording = run(projects=[{"name": "remedy", "taskSecrets": ["tidal-creds"]}, {"name": "other"}])

    assert not recording.of("Secret", "tidal-creds-other-staging")
    assert recording.of("Secret", "flyte-object-store-other-staging")


def test_values_are_stored_byte_for_byte():
    odd = json.dumps({"token": 'ü "quoted" \\ $(x) {{ x }}\nnext'}, ensure_ascii=False)

    assert value(run(tidalCreds=odd), "tidal-creds-remedy-staging", "json") == odd


def test_the_secret_is_updated_in_place(dev: Recording):
    secret = dev.one("Secret", "tidal-creds-remedy-staging")

    assert not secret.inputs.get("immutable")
    assert "stringData" not in secret.inputs
    assert isinstance(secret.inputs["data"], Secret)


def test_task_pods_get_their_object_store_key_from_a_secret_in_their_own_namespace(dev: Recording):
    name = dev.one("Release").plain["values"]["configuration"]["inline"]["plugins"]["k8s"]["default-env-from-secrets"]
    manifest = dev.one("Secret", "flyte-object-store-remedy-staging").manifest

    assert [manifest["metadata"]["name"]] == name
    assert value(dev, "flyte-object-store-remedy-staging", "FLYTE_AWS_ENDPOINT") == "http://minio.flyte.svc:9000"
    assert value(dev, "flyte-object-store-remedy-staging", "FLYTE_AWS_ACCESS_KEY_ID") == ("flyte-tasks-remedy-staging")
    assert value(dev, "flyte-object-store-remedy-staging", "FLYTE_AWS_SECRET_ACCESS_KEY") == "generated"

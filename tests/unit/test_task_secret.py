"""Secrets that tasks ask for."""

import base64
import json

from ops.lib.recording import Recording, Secret
from tests.conftest import TIDAL, run


def value(recording: Recording, name: str, key: str) -> str:
    return base64.b64decode(recording.one("Secret", name).plain["data"][key]).decode()


def test_the_tidal_credentials_are_in_every_namespace_of_the_project_under_the_name_the_task_asks_for(dev: Recording):
    for domain in ("development", "staging", "production"):
        manifest = dev.one("Secret", f"tidal-creds-remedy-{domain}").manifest
        assert manifest["metadata"]["name"] == "tidal-creds"
        assert manifest["metadata"]["namespace"] == f"remedy-{domain}"
        assert value(dev, f"tidal-creds-remedy-{domain}", "json") == TIDAL


def test_a_domain_can_have_other_credentials_under_the_same_name():
    recording = run(tidalCreds__production='{"token": "p"}')

    assert value(recording, "tidal-creds-remedy-production", "json") == '{"token": "p"}'
    assert value(recording, "tidal-creds-remedy-staging", "json") == TIDAL
    assert recording.one("Secret", "tidal-creds-remedy-production").manifest["metadata"]["name"] == "tidal-creds"


def test_a_project_that_does_not_ask_gets_no_credentials():
    recording = run(projects=[{"name": "remedy", "taskSecrets": ["tidal-creds"]}, {"name": "other"}])

    assert not recording.of("Secret", "tidal-creds-other-staging")
    assert recording.of("Secret", "flyte-object-store-other-staging")


def test_values_arrive_byte_for_byte():
    odd = json.dumps({"token": 'ü "quoted" \\ $(x) {{ x }}\nnext'}, ensure_ascii=False)

    assert value(run(tidalCreds=odd), "tidal-creds-remedy-staging", "json") == odd


def test_the_secret_is_changed_and_not_replaced(dev: Recording):
    secret = dev.one("Secret", "tidal-creds-remedy-staging")

    assert not secret.inputs.get("immutable")
    assert "stringData" not in secret.inputs
    assert isinstance(secret.inputs["data"], Secret)


def test_task_pods_reach_the_store_through_a_secret_of_their_own_namespace(dev: Recording):
    name = dev.one("Release").plain["values"]["configuration"]["inline"]["plugins"]["k8s"]["default-env-from-secrets"]
    manifest = dev.one("Secret", "flyte-object-store-remedy-staging").manifest

    assert [manifest["metadata"]["name"]] == name
    assert value(dev, "flyte-object-store-remedy-staging", "FLYTE_AWS_ENDPOINT") == "http://minio.flyte.svc:9000"
    assert value(dev, "flyte-object-store-remedy-staging", "FLYTE_AWS_ACCESS_KEY_ID") == ("flyte-tasks-remedy-staging")
    assert value(dev, "flyte-object-store-remedy-staging", "FLYTE_AWS_SECRET_ACCESS_KEY") == "generated"

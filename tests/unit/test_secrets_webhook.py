"""The webhook with which Flyte injects secrets into task pods."""

import base64
import socket
import ssl
import threading
from pathlib import Path

import pytest

from components.flyte.names import WEBHOOK_SERVICE
from components.flyte.webhook import _certificate
from ops.lib.recording import Recording
from tests.conftest import run


def handshake(folder: Path, certificate: str, key: str, host: str, trusted: str) -> None:
    """Connect a client that trusts ``trusted`` to a server with this certificate, under the name ``host``."""
    (folder / "tls.crt").write_text(certificate)
    (folder / "tls.key").write_text(key)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    client = ssl.create_default_context(cadata=trusted)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()  # the client has rejected the certificate

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=host).close()
    finally:
        ours.close()
        thread.join()


def test_the_api_server_trusts_the_webhook_through_the_registered_certificate(tmp_path: Path):
    found = run(namespace="platform")
    (webhook,) = found.one("MutatingWebhookConfiguration").manifest["webhooks"]
    mounted = found.one("Secret", "webhook-certificate").plain["stringData"]
    trusted = base64.b64decode(webhook["clientConfig"]["caBundle"]).decode()

    handshake(tmp_path, mounted["tls.crt"], mounted["tls.key"], f"{WEBHOOK_SERVICE}.platform.svc", trusted)


def test_no_other_server_can_impersonate_the_webhook(tmp_path: Path):
    own, key = _certificate("one", "flyte")
    other, other_key = _certificate("another", "flyte")

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, other, other_key, f"{WEBHOOK_SERVICE}.flyte.svc", own)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, own, key, "another.flyte.svc", own)


def test_the_certificate_stays_the_same_until_its_password_is_replaced():
    assert _certificate("one", "flyte") == _certificate("one", "flyte")
    assert _certificate("one", "flyte") != _certificate("two", "flyte")


def test_the_registered_certificate_is_not_treated_as_a_secret(dev: Recording):
    webhook = dev.one("MutatingWebhookConfiguration").manifest["webhooks"][0]

    assert isinstance(webhook["clientConfig"]["caBundle"], str)


def test_flyte_mounts_the_certificate_and_neither_creates_one_nor_registers_itself(dev: Recording):
    values = dev.one("Release").plain["values"]
    name = dev.one("Secret", "webhook-certificate").manifest["metadata"]["name"]
    told = values["configuration"]["inline"]["webhook"]

    assert told["disableCreateMutatingWebhookConfig"] is True
    assert told["localCert"] is False
    # Flyte looks for this Secret and creates its own only if it does not find it.
    assert told["secretName"] == name
    (volume,) = [volume for volume in values["deployment"]["extraVolumes"] if "secret" in volume]
    (mount,) = [mount for mount in values["deployment"]["extraVolumeMounts"] if mount["name"] == volume["name"]]
    assert volume["secret"]["secretName"] == name
    assert mount == {"name": volume["name"], "mountPath": told["certDir"], "readOnly": True}


def test_the_webhook_is_called_only_for_task_pods_that_ask_for_secrets(dev: Recording):
    (webhook,) = dev.one("MutatingWebhookConfiguration").manifest["webhooks"]

    assert webhook["objectSelector"] == {"matchLabels": {"inject-flyte-secrets": "true"}}
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert expression["key"] == "kubernetes.io/metadata.name"
    assert expression["values"] == ["remedy-development", "remedy-production", "remedy-staging"]
    assert webhook["rules"] == [
        {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    ]
    assert webhook["failurePolicy"] == "Fail"


def test_the_webhook_covers_all_namespaces_when_flyte_may_create_them():
    (webhook,) = run(flyte={"rights": "chart"}).one("MutatingWebhookConfiguration").manifest["webhooks"]

    assert webhook["namespaceSelector"] == {}


def test_the_registration_adopts_the_one_that_flyte_created_in_version_0_1_0(dev: Recording):
    registration = dev.one("MutatingWebhookConfiguration")

    assert registration.manifest["metadata"]["name"] == WEBHOOK_SERVICE == "flyte-binary-webhook"
    assert any(urn.endswith("::flyte-webhook") for urn in registration.aliases)
    assert registration.manifest["metadata"]["annotations"]["pulumi.com/patchForce"] == "true"
    assert registration.urn in dev.one("Release").dependencies

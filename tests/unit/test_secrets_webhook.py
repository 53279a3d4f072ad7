"""The webhook by which Flyte puts secrets into task pods."""

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
    """A server with this certificate and a client that trusts another one talk to each other as ``host``."""
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
            theirs.close()  # the client has said no

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=host).close()
    finally:
        ours.close()
        thread.join()


def test_the_api_server_can_trust_the_webhook_with_the_certificate_it_is_registered_with(tmp_path: Path):
    found = run(namespace="platform")
    (webhook,) = found.one("MutatingWebhookConfiguration").manifest["webhooks"]
    mounted = found.one("Secret", "webhook-certificate").plain["stringData"]
    trusted = base64.b64decode(webhook["clientConfig"]["caBundle"]).decode()

    handshake(tmp_path, mounted["tls.crt"], mounted["tls.key"], f"{WEBHOOK_SERVICE}.platform.svc", trusted)


def test_nobody_else_can_answer_as_the_webhook(tmp_path: Path):
    own, key = _certificate("one", "flyte")
    other, other_key = _certificate("another", "flyte")

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, other, other_key, f"{WEBHOOK_SERVICE}.flyte.svc", own)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, own, key, "another.flyte.svc", own)


def test_the_certificate_is_the_same_at_every_update_until_its_password_is_replaced():
    assert _certificate("one", "flyte") == _certificate("one", "flyte")
    assert _certificate("one", "flyte") != _certificate("two", "flyte")


def test_only_the_key_is_a_secret(dev: Recording):
    webhook = dev.one("MutatingWebhookConfiguration").manifest["webhooks"][0]

    assert isinstance(webhook["clientConfig"]["caBundle"], str)


def test_flyte_mounts_the_certificate_and_neither_makes_one_nor_registers_itself(dev: Recording):
    values = dev.one("Release").plain["values"]
    name = dev.one("Secret", "webhook-certificate").manifest["metadata"]["name"]
    told = values["configuration"]["inline"]["webhook"]

    assert told["disableCreateMutatingWebhookConfig"] is True
    assert told["localCert"] is False
    # Flyte looks for this Secret, and makes one of its own only if it is not there.
    assert told["secretName"] == name
    (volume,) = [volume for volume in values["deployment"]["extraVolumes"] if "secret" in volume]
    (mount,) = [mount for mount in values["deployment"]["extraVolumeMounts"] if mount["name"] == volume["name"]]
    assert volume["secret"]["secretName"] == name
    assert mount == {"name": volume["name"], "mountPath": told["certDir"], "readOnly": True}


def test_only_pods_of_the_projects_that_want_secrets_are_shown_to_flyte(dev: Recording):
    (webhook,) = dev.one("MutatingWebhookConfiguration").manifest["webhooks"]

    assert webhook["objectSelector"] == {"matchLabels": {"inject-flyte-secrets": "true"}}
    (expression,) = webhook["namespaceSelector"]["matchExpressions"]
    assert expression["key"] == "kubernetes.io/metadata.name"
    assert expression["values"] == ["remedy-development", "remedy-production", "remedy-staging"]
    assert webhook["rules"] == [
        {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    ]
    assert webhook["failurePolicy"] == "Fail"


def test_a_flyte_that_makes_namespaces_is_shown_the_pods_of_all():
    (webhook,) = run(flyte={"rights": "chart"}).one("MutatingWebhookConfiguration").manifest["webhooks"]

    assert webhook["namespaceSelector"] == {}


def test_the_registration_is_the_one_that_flyte_made_in_version_0_1_0(dev: Recording):
    registration = dev.one("MutatingWebhookConfiguration")

    assert registration.manifest["metadata"]["name"] == WEBHOOK_SERVICE == "flyte-binary-webhook"
    assert any(urn.endswith("::flyte-webhook") for urn in registration.aliases)
    assert registration.manifest["metadata"]["annotations"]["pulumi.com/patchForce"] == "true"
    assert registration.urn in dev.one("Release").dependencies

"""The webhook with which Flyte injects secrets into task pods."""

import base64
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.flyte.webhook_certificate import webhook_certificate
from ops.lib.recording import Recording
from tests.conftest import run

HOST = "flyte-webhook-1.flyte.svc"


def configuration(recording: Recording) -> dict[str, Any]:
    """Flyte's configuration for the webhook."""
    return yaml.safe_load(recording.one("ConfigMap", "webhook-files").manifest["data"]["config.yaml"])


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

    handshake(tmp_path, mounted["tls.crt"], mounted["tls.key"], "flyte-webhook-1.platform.svc", trusted)


def test_no_other_server_can_impersonate_the_webhook(tmp_path: Path):
    own, key = webhook_certificate("one", HOST)
    other, other_key = webhook_certificate("another", HOST)

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, other, other_key, HOST, own)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, own, key, "another.flyte.svc", own)


def test_the_certificate_stays_the_same_until_its_password_is_replaced():
    assert webhook_certificate("one", HOST) == webhook_certificate("one", HOST)
    assert webhook_certificate("one", HOST) != webhook_certificate("two", HOST)


def test_the_registered_certificate_is_not_treated_as_a_secret(dev: Recording):
    webhook = dev.one("MutatingWebhookConfiguration").manifest["webhooks"][0]

    assert isinstance(webhook["clientConfig"]["caBundle"], str)


def server(recording: Recording, generation: int = 1) -> dict[str, Any]:
    """The pod of the webhook."""
    return recording.one("Deployment", f"webhook-{generation}").manifest["spec"]["template"]


def test_the_pods_of_the_webhook_have_no_credential_but_their_certificate(dev: Recording):
    pod = server(dev)["spec"]
    (container,) = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod
    secrets = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
    assert secrets == [dev.one("Secret", "webhook-certificate").manifest["metadata"]["name"]]
    assert set(dev.one("Secret", "webhook-certificate").plain["stringData"]) == {"tls.crt", "tls.key"}
    assert not [variable for variable in container["env"] if "valueFrom" in variable]
    assert "envFrom" not in container


def test_flyte_itself_runs_no_webhook(dev: Recording):
    values = dev.one("Release").plain["values"]

    assert values["flyte-core-components"]["propeller"] == {"disableWebhook": True}
    assert "webhook" not in values["configuration"]["inline"]


def test_the_webhook_neither_registers_itself_nor_shows_its_configuration(dev: Recording):
    told = configuration(dev)

    assert told["webhook"]["disableCreateMutatingWebhookConfig"] is True
    assert told["prof"] == {"disableConfigEndpoint": True}


def test_secrets_are_looked_up_below_the_working_directory_which_is_the_jail(dev: Recording):
    (container,) = server(dev)["spec"]["containers"]

    assert configuration(dev)["secrets"] == {"secrets-prefix": "global"}
    assert container["command"] == ["/bin/sh", "/etc/flyte/serve.sh"]
    assert {"name": "JAIL", "value": "/jail"} in container["env"]
    assert {"name": "jail", "mountPath": "/jail"} in container["volumeMounts"]


def test_the_registration_leads_to_the_service_of_the_ready_pods(dev: Recording):
    registration = dev.one("MutatingWebhookConfiguration")
    service = dev.one("Service", "webhook-1")
    pod = server(dev)

    (webhook,) = registration.manifest["webhooks"]
    called = webhook["clientConfig"]["service"]
    assert (called["name"], called["port"]) == (service.manifest["metadata"]["name"], 443)
    assert service.manifest["spec"]["ports"][0]["port"] == called["port"]
    assert service.manifest["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (port,) = [port for port in pod["spec"]["containers"][0]["ports"] if port["name"] == "webhook"]
    assert port["containerPort"] == configuration(dev)["webhook"]["listenPort"]
    assert {service.urn, dev.one("Deployment", "webhook-1").urn} <= set(registration.dependencies)


def test_another_certificate_gets_pods_and_a_service_of_its_own_while_the_old_ones_answer():
    # What is named differently is created before the registration changes, and what is gone is deleted at the end.
    names = {}
    for generation in (1, 2):
        found = run(generations={"webhook": generation})
        pod = server(found, generation)
        names[generation] = {
            found.one(kind, f"webhook-{generation}").manifest["metadata"]["name"] for kind in ("Deployment", "Service")
        }
        service = found.one("Service", f"webhook-{generation}").manifest["spec"]
        other = {**pod["metadata"]["labels"], "flyte-home/webhook-generation": str(3 - generation)}
        assert not service["selector"].items() <= other.items()

    assert names == {1: {"flyte-webhook-1"}, 2: {"flyte-webhook-2"}}


def test_replicas_are_spread_and_one_stays_when_a_node_is_drained(dev: Recording):
    several = run(flyte={"webhook": {"replicas": 2}})
    deployment = several.one("Deployment", "webhook-1").manifest["spec"]
    (constraint,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    budget = several.one("PodDisruptionBudget").manifest["spec"]

    assert deployment["replicas"] == 2
    assert constraint["topologyKey"] == "kubernetes.io/hostname"
    assert budget["maxUnavailable"] == 1
    for selector in (constraint["labelSelector"], budget["selector"]):
        assert selector["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
    # With one replica, a budget would block every drain.
    assert not dev.of("PodDisruptionBudget")


def test_no_pod_stops_before_its_successor_is_ready(dev: Recording):
    spec = dev.one("Deployment", "webhook-1").manifest["spec"]

    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["template"]["spec"]["containers"][0]["readinessProbe"]


def test_an_autoscaler_exists_only_if_the_settings_ask_for_it(dev: Recording):
    found = run(flyte={"webhook": {"verticalPodAutoscaler": "Initial"}})
    spec = found.one("VerticalPodAutoscaler").manifest["spec"]

    assert spec["targetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "flyte-webhook-1"}
    assert spec["updatePolicy"] == {"updateMode": "Initial"}
    assert not dev.of("VerticalPodAutoscaler")


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

    assert registration.manifest["metadata"]["name"] == "flyte-binary-webhook"
    assert any(urn.endswith("::flyte-webhook") for urn in registration.aliases)
    assert registration.manifest["metadata"]["annotations"]["pulumi.com/patchForce"] == "true"
    assert registration.urn in dev.one("Release").dependencies

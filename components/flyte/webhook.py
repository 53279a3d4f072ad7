"""The webhook with which Flyte puts secrets into task pods: its certificate and its registration."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.flyte.names import WEBHOOK_SERVICE, WEBHOOK_SERVICE_PORT
from components.pods import LABELS, Platform, generated_password

# Label that propeller sets on pods whose tasks ask for secrets.
_POD_LABEL = {"inject-flyte-secrets": "true"}
# No well-defined expiration date: https://datatracker.ietf.org/doc/html/rfc5280#section-4.1.2.5
_VALID = (datetime.datetime(2026, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59))


@dataclass(frozen=True)
class SecretsWebhookArgs:
    """Where the webhook runs, and which pods it gets."""

    platform: Platform
    task_namespaces: Sequence[str] | None
    """Names of the task namespaces; None: all namespaces, for a Flyte that creates namespaces itself."""
    generation: int
    """Generation of the certificate."""


class SecretsWebhook(pulumi.ComponentResource):
    """The registration of Flyte's secrets webhook, and the certificate it answers with.

    Flyte can register itself, but that needs the right to change webhook configurations, with which it could read and
    change everything that anyone sends to the API server. So Pulumi registers it, with
    ``webhook.disableCreateMutatingWebhookConfig``. The webhook is the same as Flyte's own
    (https://github.com/flyteorg/flyte/blob/v1.16.8/flytepropeller/pkg/webhook/pod.go), except that the API server calls
    it only for the task namespaces.

    Certificate and key are derived from one generated password. So they are the same at every update and are stored
    nowhere else. Another generation replaces both and restarts Flyte.
    """

    certificate: pulumi.Output[str]
    """Name of the Secret with the certificate, for Flyte to mount."""

    def __init__(self, name: str, args: SecretsWebhookArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:SecretsWebhook", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        seed = generated_password(f"{name}-key", 64, child, args.generation)
        namespace = pulumi.Output.from_input(args.platform.namespace)
        pair = pulumi.Output.all(seed, namespace).apply(lambda known: _certificate(str(known[0]), str(known[1])))
        public = pulumi.Output.unsecret(pair.apply(lambda pair: pair[0]))
        certificate = k8s.core.v1.Secret(
            f"{name}-certificate",
            metadata={"namespace": args.platform.namespace, "labels": LABELS},
            # Named by Pulumi: another certificate has another name, which restarts Flyte's pod.
            immutable=True,
            # Flyte expects these file names.
            string_data={"tls.crt": public, "tls.key": pair.apply(lambda pair: pair[1])},
            opts=child,
        )
        selector: k8s.meta.v1.LabelSelectorArgsDict = {}
        if args.task_namespaces is not None:
            # Kubernetes sets this label on every namespace, and no one else can.
            selector = {
                "match_expressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": sorted(args.task_namespaces)}
                ]
            }
        k8s.admissionregistration.v1.MutatingWebhookConfiguration(
            name,
            metadata={
                "name": WEBHOOK_SERVICE,
                "labels": LABELS,
                # In states of version 0.1.0, Flyte is the field manager of the webhook.
                "annotations": {"pulumi.com/patchForce": "true"},
            },
            webhooks=[
                {
                    "name": "flyte-pod-webhook.flyte.org",
                    "client_config": {
                        "service": {
                            "name": WEBHOOK_SERVICE,
                            "namespace": args.platform.namespace,
                            "path": "/mutate--v1-pod",
                            "port": WEBHOOK_SERVICE_PORT,
                        },
                        "ca_bundle": public.apply(lambda text: base64.b64encode(text.encode()).decode()),
                    },
                    "rules": [
                        {"operations": ["CREATE"], "api_groups": [""], "api_versions": ["v1"], "resources": ["pods"]}
                    ],
                    # A task must not run without its secrets.
                    "failure_policy": "Fail",
                    "side_effects": "NoneOnDryRun",
                    "admission_review_versions": ["v1", "v1beta1"],
                    "namespace_selector": selector,
                    "object_selector": {"match_labels": _POD_LABEL},
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, provider=args.platform.cluster_provider, aliases=[_of_flyte()]),
        )
        self.certificate = certificate.metadata.name
        self.register_outputs({"certificate": self.certificate})


def _of_flyte() -> str:
    """The registration's URN in version 0.1.0, when Flyte filled it."""
    types = "flyte-home:index:FlyteBinary$kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration"
    return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{types}::flyte-webhook"


def _certificate(seed: str, namespace: str) -> tuple[str, str]:
    """A self-signed certificate for the webhook's Service, and its key, in PEM; always the same for one ``seed``.

    Ed25519 (https://datatracker.ietf.org/doc/html/rfc8032): any 32 bytes are a key, and a signature has no randomness.
    """
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    host = f"{WEBHOOK_SERVICE}.{namespace}.svc"
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "flyte-home")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_VALID[0])
        .not_valid_after(_VALID[1])
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, None)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), private.decode()

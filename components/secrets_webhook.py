"""The webhook by which Flyte puts secrets into task pods: its certificate and its registration."""

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

from components.hardening import LABELS
from components.password import generated_password

# As the flyte-binary chart names the Service, and Flyte the label of the pods it has to see.
SERVICE, PORT = "flyte-binary-webhook", 443
_POD_LABEL = {"inject-flyte-secrets": "true"}
# https://datatracker.ietf.org/doc/html/rfc5280#section-4.1.2.5: a certificate that has no well-defined end.
_VALID = (datetime.datetime(2026, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59))


@dataclass
class SecretsWebhookArgs:
    """Where the webhook is, and whose pods it sees."""

    # Namespace of Flyte.
    namespace: pulumi.Input[str]
    # Names of the namespaces in which task pods are made; None: all, for a Flyte that makes its own.
    task_namespaces: Sequence[str] | None
    # For the registration: one that takes over none that another Flyte may have made.
    cluster_provider: pulumi.ProviderResource
    # Another generation is another certificate.
    generation: int = 1


class SecretsWebhook(pulumi.ComponentResource):
    """The registration of Flyte's secrets webhook, and the certificate it answers with.

    Flyte would register itself, which takes the right to change webhook configurations: whoever has it can read and
    rewrite everything that anybody sends to the API server. So Pulumi does it, with
    ``webhook.disableCreateMutatingWebhookConfig``; the webhook is the one that Flyte would make
    (https://github.com/flyteorg/flyte/blob/v1.16.8/flytepropeller/pkg/webhook/pod.go), but for the namespaces it is
    asked about. ``certificate`` is the name of the Secret with the certificate, for Flyte to mount.

    Certificate and key follow from one generated password, so they are the same at every update and are kept nowhere
    else; another ``generation`` replaces both, and restarts Flyte.
    """

    certificate: pulumi.Output[str]

    def __init__(self, name: str, args: SecretsWebhookArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:SecretsWebhook", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        seed = generated_password(f"{name}-key", 64, child, args.generation)
        namespace = pulumi.Output.from_input(args.namespace)
        pair = pulumi.Output.all(seed, namespace).apply(lambda known: _certificate(str(known[0]), str(known[1])))
        public = pulumi.Output.unsecret(pair.apply(lambda pair: pair[0]))
        certificate = k8s.core.v1.Secret(
            f"{name}-certificate",
            metadata={"namespace": args.namespace, "labels": LABELS},
            # Named by Pulumi: another certificate is another name in Flyte's pod, which restarts it.
            immutable=True,
            # The names that Flyte looks for.
            string_data={"tls.crt": public, "tls.key": pair.apply(lambda pair: pair[1])},
            opts=child,
        )
        selector: k8s.meta.v1.LabelSelectorArgsDict = {}
        if args.task_namespaces is not None:
            # The label that Kubernetes gives every namespace, and nobody else can.
            selector = {
                "match_expressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": sorted(args.task_namespaces)}
                ]
            }
        k8s.admissionregistration.v1.MutatingWebhookConfiguration(
            name,
            metadata={
                "name": SERVICE,
                "labels": LABELS,
                # An earlier version of this stack left the webhook to Flyte, which then counts as its owner.
                "annotations": {"pulumi.com/patchForce": "true"},
            },
            webhooks=[
                {
                    "name": "flyte-pod-webhook.flyte.org",
                    "client_config": {
                        "service": {
                            "name": SERVICE,
                            "namespace": args.namespace,
                            "path": "/mutate--v1-pod",
                            "port": PORT,
                        },
                        "ca_bundle": public.apply(lambda text: base64.b64encode(text.encode()).decode()),
                    },
                    "rules": [
                        {"operations": ["CREATE"], "api_groups": [""], "api_versions": ["v1"], "resources": ["pods"]}
                    ],
                    # Better no task than one that runs without its secrets.
                    "failure_policy": "Fail",
                    "side_effects": "NoneOnDryRun",
                    "admission_review_versions": ["v1", "v1beta1"],
                    "namespace_selector": selector,
                    "object_selector": {"match_labels": _POD_LABEL},
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, provider=args.cluster_provider, aliases=[_of_flyte()]),
        )
        self.certificate = certificate.metadata.name
        self.register_outputs({"certificate": self.certificate})


def _of_flyte() -> str:
    """The registration's URN in version 0.1.0, when Flyte filled it."""
    types = "flyte-home:index:FlyteBinary$kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration"
    return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{types}::flyte-webhook"


def _certificate(seed: str, namespace: str) -> tuple[str, str]:
    """A self-signed certificate for the webhook's Service and its key, in PEM; always the same for a ``seed``.

    Ed25519 (https://datatracker.ietf.org/doc/html/rfc8032): any 32 bytes are a key, and a signature has no randomness.
    """
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    host = f"{SERVICE}.{namespace}.svc"
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

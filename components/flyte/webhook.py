"""The webhook with which Flyte puts secrets into task pods: its certificate, its pods and its registration."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.flyte.names import WEBHOOK_REGISTRATION, webhook_service
from components.flyte.webhook_certificate import webhook_certificate
from components.flyte.webhook_server import SERVICE_PORT, webhook_server
from components.pods import LABELS, Platform, generated_password
from settings.secret_manager import SecretManager
from settings.servers import FlyteSettings

# Label that propeller sets on pods whose tasks ask for secrets.
_POD_LABEL = {"inject-flyte-secrets": "true"}


@dataclass(frozen=True)
class SecretsWebhookArgs:
    """How the webhook runs, and which pods it gets."""

    platform: Platform
    settings: FlyteSettings
    secret_manager: SecretManager
    """Where tasks get their secrets from."""
    task_namespaces: Sequence[str] | None
    """Names of the task namespaces; None: all namespaces, for a Flyte that creates namespaces itself."""
    generation: int
    """Generation of the certificate."""


class SecretsWebhook(pulumi.ComponentResource):
    """Flyte's secrets webhook, apart from Flyte: its certificate, its pods, and its registration.

    In Flyte's own process the webhook would have Flyte's credentials within reach, and it answers every pod of the
    cluster. flyte-core runs it as a Deployment as well
    (https://github.com/flyteorg/flyte/blob/v1.16.8/charts/flyte-core/templates/propeller/webhook.yaml), but with a
    service account that may change webhook configurations, with which it could read and change everything that anyone
    sends to the API server. So Pulumi registers it. The registration is the same as Flyte's own
    (https://github.com/flyteorg/flyte/blob/v1.16.8/flytepropeller/pkg/webhook/pod.go), except that the API server calls
    it only for the task namespaces.

    Certificate and key are derived from one generated password. So they are the same at every update and are stored
    nowhere else. Another generation creates another Service and other pods, to which the registration then changes.
    """

    def __init__(self, name: str, args: SecretsWebhookArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:SecretsWebhook", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        service = webhook_service(args.generation)
        seed = generated_password(f"{name}-key", 64, child, args.generation)
        host = pulumi.Output.concat(service, ".", args.platform.namespace, ".svc")
        pair = pulumi.Output.all(seed, host).apply(lambda known: webhook_certificate(str(known[0]), str(known[1])))
        public = pulumi.Output.unsecret(pair.apply(lambda pair: pair[0]))
        certificate = k8s.core.v1.Secret(
            f"{name}-certificate",
            metadata={"namespace": args.platform.namespace, "labels": LABELS},
            # Named by Pulumi: another certificate has another name.
            immutable=True,
            # Flyte expects these file names.
            string_data={"tls.crt": public, "tls.key": pair.apply(lambda pair: pair[1])},
            opts=child,
        )
        server = webhook_server(
            name,
            args.platform,
            args.settings.webhook,
            args.secret_manager,
            args.settings.log_level,
            args.generation,
            certificate.metadata.name,
            self,
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
                "name": WEBHOOK_REGISTRATION,
                "labels": LABELS,
                # In states of version 0.1.0, Flyte is the field manager of the webhook.
                "annotations": {"pulumi.com/patchForce": "true"},
            },
            webhooks=[
                {
                    "name": "flyte-pod-webhook.flyte.org",
                    "client_config": {
                        "service": {
                            "name": service,
                            "namespace": args.platform.namespace,
                            "path": "/mutate--v1-pod",
                            "port": SERVICE_PORT,
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
            opts=pulumi.ResourceOptions(
                parent=self, provider=args.platform.cluster_provider, aliases=[_of_flyte()], depends_on=server
            ),
        )
        self.register_outputs({})


def _of_flyte() -> str:
    """The registration's URN in version 0.1.0, when Flyte filled it."""
    types = "flyte-home:index:FlyteBinary$kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration"
    return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{types}::flyte-webhook"

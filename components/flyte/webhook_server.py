"""The pods of the secrets webhook."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.flyte.names import METRICS_PORT, WEBHOOK, WEBHOOK_PORT, webhook_service
from components.flyte.secret_manager import secret_manager_configuration
from components.pods import (
    LABELS,
    NAME,
    Platform,
    container_security,
    empty_dir,
    labels,
    patience,
    pod_security,
    resources,
    script_config_map,
)
from settings import go_yaml
from settings.secret_manager import SecretManager
from settings.servers import WebhookSettings

SERVICE_PORT = 443
"""Port of the webhook's Service."""
# Any user: the image has no files of its own for one.
_USER = 65532
_FILES, _CERTIFICATE, _GLOBAL, _JAIL = "/etc/flyte", "/etc/webhook", "/etc/secrets", "/jail"
# A label that only pods of one generation have.
_GENERATION = "flyte-home/webhook-generation"

# flytepropeller does not start without a kubeconfig, but its webhook never connects to the API server.
_KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "none",
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "none", "user": {}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
}


def webhook_server(
    name: str,
    platform: Platform,
    settings: WebhookSettings,
    secret_manager: SecretManager,
    log_level: int,
    generation: int,
    certificate: pulumi.Input[str],
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """The Deployment and the Service of the webhook, and what keeps its replicas apart and available.

    A generation has objects of its own, so that the old pods answer with the old certificate until the registration
    names the new ones.

    The pods have no service account token, no credential but the key of their certificate, and no allowed connection.
    They run ``scripts/webhook/serve.sh``, which keeps callers away from the files of the pod.

    Args:
        name: prefix of the resources' names.
        platform: where the pods run.
        settings: number of replicas, resources and autoscaler.
        secret_manager: where tasks get their secrets from.
        log_level: Flyte's log level.
        generation: generation of the certificate.
        certificate: name of the Secret with the certificate.
        parent: component the resources belong to.
    """
    child = pulumi.ResourceOptions(parent=parent)
    object_name = webhook_service(generation)
    selector = {NAME: WEBHOOK, _GENERATION: str(generation)}
    metadata: k8s.meta.v1.ObjectMetaArgsDict = {
        "name": object_name,
        "namespace": platform.namespace,
        "labels": labels(WEBHOOK),
    }
    files = script_config_map(
        f"{name}-files",
        platform.namespace,
        "webhook",
        child,
        {"config.yaml": _configuration(secret_manager, log_level), "kubeconfig": go_yaml.dump(_KUBECONFIG)},
    )
    deployment = k8s.apps.v1.Deployment(
        f"{name}-{generation}",
        metadata=metadata,
        spec={
            "replicas": settings.replicas,
            "selector": {"match_labels": selector},
            # A pod is only stopped after its successor is ready: without a webhook, no task with a secret starts.
            "strategy": {"rolling_update": {"max_surge": 1, "max_unavailable": 0}},
            "template": {
                "metadata": {"labels": {**labels(WEBHOOK), **selector}},
                "spec": platform.pod(
                    _pod(platform, settings, secret_manager, files.metadata.name, certificate, selector)
                ),
            },
        },
        opts=pulumi.ResourceOptions.merge(child, patience()),
    )
    service = k8s.core.v1.Service(
        f"{name}-{generation}",
        # Pulumi waits for the Deployment instead.
        metadata={**metadata, "annotations": {"pulumi.com/skipAwait": "true"}},
        spec={"selector": selector, "ports": [{"name": "webhook", "port": SERVICE_PORT, "target_port": "webhook"}]},
        opts=child,
    )
    if settings.replicas > 1:
        k8s.policy.v1.PodDisruptionBudget(
            f"{name}-{generation}",
            metadata=metadata,
            spec={"max_unavailable": 1, "selector": {"match_labels": selector}},
            opts=child,
        )
    if settings.vertical_pod_autoscaler != "none":
        k8s.apiextensions.CustomResource(
            f"{name}-{generation}",
            api_version="autoscaling.k8s.io/v1",
            kind="VerticalPodAutoscaler",
            metadata={"name": object_name, "namespace": platform.namespace, "labels": LABELS},
            spec={
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": object_name},
                "updatePolicy": {"updateMode": settings.vertical_pod_autoscaler},
            },
            opts=child,
        )
    return [deployment, service]


def _configuration(secret_manager: SecretManager, log_level: int) -> str:
    """Flyte's configuration for the webhook alone."""
    return go_yaml.dump(
        {
            "logger": {"level": log_level},
            "propeller": {"kube-config": f"{_FILES}/kubeconfig"},
            # Otherwise port 10254 shows the configuration.
            "prof": {"disableConfigEndpoint": True},
            # Relative, see scripts/webhook/serve.sh.
            "secrets": {"secrets-prefix": "global"},
            "webhook": {
                "certDir": _CERTIFICATE,
                "listenPort": WEBHOOK_PORT,
                # Pulumi registers the webhook.
                "disableCreateMutatingWebhookConfig": True,
                **secret_manager_configuration(secret_manager),
            },
        }
    )


def _pod(
    platform: Platform,
    settings: WebhookSettings,
    secret_manager: SecretManager,
    files: pulumi.Input[str],
    certificate: pulumi.Input[str],
    selector: dict[str, str],
) -> k8s.core.v1.PodSpecArgsDict:
    probe: k8s.core.v1.ProbeArgsDict = {
        # Answers every request, also one that is no review, as soon as the certificate is loaded.
        "http_get": {"scheme": "HTTPS", "port": "webhook", "path": "/mutate--v1-pod"},
        "timeout_seconds": 5,
    }
    mounts: list[k8s.core.v1.VolumeMountArgsDict] = [
        {"name": "files", "mount_path": _FILES, "read_only": True},
        {"name": "certificate", "mount_path": _CERTIFICATE, "read_only": True},
        {"name": "jail", "mount_path": _JAIL},
    ]
    volumes: list[k8s.core.v1.VolumeArgsDict] = [
        {"name": "files", "config_map": {"name": files}},
        {"name": "certificate", "secret": {"secret_name": certificate, "default_mode": 0o440}},
        empty_dir("jail", "16Mi"),
    ]
    for number, secret in enumerate(secret_manager.global_secrets):
        mounts.append({"name": f"global-{number}", "mount_path": f"{_GLOBAL}/{secret}", "read_only": True})
        volumes.append({"name": f"global-{number}", "secret": {"secret_name": secret, "default_mode": 0o440}})
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": pod_security(_USER),
        "termination_grace_period_seconds": 15,
        "topology_spread_constraints": [
            {
                "max_skew": 1,
                "topology_key": "kubernetes.io/hostname",
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": selector},
            }
        ],
        "containers": [
            {
                "name": "webhook",
                "image": platform.images["propeller"].reference,
                "image_pull_policy": "IfNotPresent",
                "command": ["/bin/sh", f"{_FILES}/serve.sh"],
                "env": [
                    {"name": "JAIL", "value": _JAIL},
                    {"name": "GLOBAL", "value": _GLOBAL},
                    {"name": "CONFIG", "value": f"{_FILES}/config.yaml"},
                ],
                "ports": [
                    {"name": "webhook", "container_port": WEBHOOK_PORT},
                    {"name": "metrics", "container_port": METRICS_PORT},
                ],
                "startup_probe": {**probe, "period_seconds": 1, "failure_threshold": 60},
                "readiness_probe": {**probe, "period_seconds": 5},
                "liveness_probe": {**probe, "period_seconds": 20, "failure_threshold": 3},
                # For as long as an API server may still call this pod after it has left the Service.
                "lifecycle": {"pre_stop": {"exec_": {"command": ["sleep", "5"]}}},
                "resources": resources(settings.resources),
                "security_context": container_security(),
                "volume_mounts": mounts,
            }
        ],
        "volumes": volumes,
    }

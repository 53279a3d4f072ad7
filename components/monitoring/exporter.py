"""The pod that reads the metrics of the database, because PostgreSQL serves none itself."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components.database import MONITOR, MONITOR_PASSWORD, Database
from components.monitoring.names import EXPORTER, EXPORTER_PORT
from components.pods import (
    Platform,
    container_security,
    labels,
    patience,
    pod_security,
    resources,
)
from settings.quantities import Resources

_UID = 65534
_CREDENTIALS = "/run/secrets/database"


def exporter(
    name: str,
    platform: Platform,
    database: Database,
    secret: pulumi.Input[str],
    amounts: Resources,
    parent: pulumi.Resource,
) -> k8s.apps.v1.Deployment:
    """A Deployment of postgres_exporter, which logs in with a role that only reads statistics.

    It connects to the database ``postgres``, because the role may not connect to that of Flyte.

    Args:
        name: name of the resource.
        platform: where it runs.
        database: the database whose server it reads.
        secret: name of the Secret with the password of the role.
        amounts: requests and limits of the container.
        parent: component the resource belongs to.
    """
    environment: list[k8s.core.v1.EnvVarArgsDict] = [
        {
            "name": "DATA_SOURCE_URI",
            # No TLS, because the connection is between two pods in one namespace.
            "value": pulumi.Output.concat(database.host, f":{database.port}/postgres?sslmode=disable"),
        },
        {"name": "DATA_SOURCE_USER", "value": MONITOR},
        {"name": "DATA_SOURCE_PASS_FILE", "value": f"{_CREDENTIALS}/{MONITOR_PASSWORD}"},
    ]
    # It answers without the database: otherwise Prometheus could not tell which of the two is down.
    probe: k8s.core.v1.ProbeArgsDict = {"http_get": {"path": "/", "port": "metrics"}, "timeout_seconds": 5}
    container: k8s.core.v1.ContainerArgsDict = {
        "name": "exporter",
        "image": platform.images["exporter"].reference,
        "image_pull_policy": "IfNotPresent",
        "env": environment,
        "ports": [{"name": "metrics", "container_port": EXPORTER_PORT}],
        "readiness_probe": {**probe, "period_seconds": 30},
        "liveness_probe": {**probe, "period_seconds": 60, "failure_threshold": 5},
        "resources": resources(amounts),
        "security_context": container_security(),
        "volume_mounts": [{"name": "credentials", "mount_path": _CREDENTIALS, "read_only": True}],
    }
    pod: k8s.core.v1.PodSpecArgsDict = {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "termination_grace_period_seconds": 10,
        "security_context": pod_security(_UID),
        "containers": [container],
        "volumes": [{"name": "credentials", "secret": {"secret_name": secret, "default_mode": 0o440}}],
    }
    template: k8s.core.v1.PodTemplateSpecArgsDict = {
        "metadata": {"labels": labels(EXPORTER)},
        "spec": platform.pod(pod),
    }
    return k8s.apps.v1.Deployment(
        name,
        metadata={"name": EXPORTER, "namespace": platform.namespace, "labels": labels(EXPORTER)},
        spec={"selector": {"match_labels": labels(EXPORTER)}, "template": template},
        opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=parent), patience()),
    )

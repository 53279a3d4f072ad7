"""What Prometheus scrapes, and how it finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.database import names as database
from components.flyte import names as flyte
from components.monitoring.metrics import services
from components.monitoring.names import DATABASE, DATABASE_CLUSTER, EXPORTER, EXPORTER_PORT, FLYTE, STORE
from components.object_store import minio
from components.pods import LABELS, NAME, Platform, labels
from settings.monitoring import MonitoringSettings
from settings.stack import Settings

TOKEN = "token"  # noqa: S105 (a key)
"""Key of the bearer token in its Secret."""


@dataclass(frozen=True)
class Target:
    """Pods that serve metrics."""

    name: str
    """Name of the Service and the ServiceMonitor."""
    pods: Mapping[str, str]
    """Labels of the pods."""
    port: int
    paths: Sequence[str] = ("/metrics",)
    token: bool = False
    """Whether it answers only with the token."""
    dropped: str = ""
    """Names of metrics that Prometheus does not store, as a regular expression; empty: it stores all."""


# Counters for each table, and for each code that each method of the API can return: half of what Flyte serves.
UNUSED = r"flyte:(admin:(admin|signal)|flytescheduler):(database:.+|.+:codes:.+)"
TARGETS = (
    Target(FLYTE, flyte.POD_LABELS, flyte.METRICS_PORT, dropped=UNUSED),
    Target(STORE, labels(minio.SERVICE), minio.PORT, ("/minio/v2/metrics/cluster", "/minio/v2/metrics/bucket"), True),
    Target(DATABASE, labels(EXPORTER), EXPORTER_PORT),
    Target(DATABASE_CLUSTER, database.INSTANCES, database.METRICS_PORT),
)
"""All servers that a stack can run."""


def targets(settings: Settings) -> list[Target]:
    """The servers that the stack of these settings runs."""
    return [target for target in TARGETS if target.name in services(settings)]


def service(
    name: str, target: Target, platform: Platform, settings: MonitoringSettings, parent: pulumi.Resource
) -> k8s.core.v1.Service:
    """A headless Service, through which Prometheus finds the pods of ``target``.

    With annotations, Prometheus can send no token: then that of the object store has none, and needs a job of its own
    in the configuration of Prometheus.
    """
    annotations = {"pulumi.com/skipAwait": "true"}
    if settings.scrape == "annotations" and not target.token:
        annotations |= {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(target.port),
            "prometheus.io/path": target.paths[0],
        }
    return k8s.core.v1.Service(
        name,
        metadata={
            "name": target.name,
            "namespace": platform.namespace,
            "labels": labels(target.name),
            "annotations": annotations,
        },
        spec={
            "cluster_ip": "None",
            "selector": dict(target.pods),
            "ports": [{"name": "metrics", "port": target.port, "target_port": target.port}],
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )


def service_monitor(
    name: str,
    target: Target,
    platform: Platform,
    settings: MonitoringSettings,
    token: pulumi.Input[str],
    parent: pulumi.Resource,
) -> k8s.apiextensions.CustomResource:
    """A ServiceMonitor for the Service of ``target``.

    https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.ServiceMonitor
    """
    endpoints: list[dict[str, Any]] = []
    for path in target.paths:
        endpoint: dict[str, Any] = {"port": "metrics", "path": path, "interval": f"{settings.interval}s"}
        if target.token:
            endpoint["authorization"] = {"type": "Bearer", "credentials": {"name": token, "key": TOKEN}}
        if target.dropped:
            endpoint["metricRelabelings"] = [{"sourceLabels": ["__name__"], "regex": target.dropped, "action": "drop"}]
        endpoints.append(endpoint)
    return k8s.apiextensions.CustomResource(
        name,
        api_version="monitoring.coreos.com/v1",
        kind="ServiceMonitor",
        metadata={
            "name": target.name,
            "namespace": platform.namespace,
            "labels": {**settings.selector, **LABELS},
        },
        spec={"selector": {"matchLabels": {NAME: target.name}}, "endpoints": endpoints},
        opts=pulumi.ResourceOptions(parent=parent),
    )

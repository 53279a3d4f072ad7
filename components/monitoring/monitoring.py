"""Metrics, alerts and dashboards of the stack."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.database import FlyteDatabase, Postgres
from components.monitoring.alerts import rules_file
from components.monitoring.boards import dashboards
from components.monitoring.exporter import exporter
from components.monitoring.names import DASHBOARDS, RULES, STORE
from components.monitoring.targets import TOKEN, service, service_monitor, targets
from components.monitoring.token import metrics_token
from components.object_store import ExternalObjectStore, Minio
from components.pods import LABELS, Platform, labels
from settings import go_yaml
from settings.monitoring import DashboardSettings
from settings.stack import Settings


@dataclass(frozen=True)
class MonitoringArgs:
    """What is monitored, and how Prometheus and Grafana find it."""

    platform: Platform
    settings: Settings
    """All settings, because alerts depend on what the stack has."""
    database: FlyteDatabase
    store: Minio | ExternalObjectStore


def monitoring(
    name: str,
    platform: Platform,
    settings: Settings,
    database: FlyteDatabase,
    store: Minio | ExternalObjectStore,
    opts: pulumi.ResourceOptions,
) -> None:
    """Create :class:`Monitoring`, or nothing if the stack has none."""
    if settings.monitoring.enabled:
        Monitoring(name, MonitoringArgs(platform, settings, database, store), opts)


class Monitoring(pulumi.ComponentResource):
    """An exporter for the database, Services through which Prometheus finds what to scrape, alerts and dashboards.

    Only Prometheus can use what is created here: the network policies admit its namespace, the object store asks for a
    token, and the database for a password of a role that only reads statistics. A server that the
    stack does not run is not monitored.
    """

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Monitoring", name, None, opts)
        platform, settings = args.platform, args.settings.monitoring
        child = pulumi.ResourceOptions(parent=self)
        token: pulumi.Input[str] = ""
        if isinstance(args.store, Minio):
            token = _token(f"{name}-store-token", platform, args.store, child)
        if isinstance(args.database, Postgres):
            if not args.database.monitor:
                raise ValueError("Monitoring needs a role of the database: PostgresArgs.monitored")
            server = args.database.database
            exporter(f"{name}-exporter", platform, server, args.database.monitor, settings.resources, self)
        for target in targets(args.settings):
            service(f"{name}-{target.name}", target, platform, settings, self)
            if settings.scrape == "operator":
                service_monitor(f"{name}-{target.name}", target, platform, settings, token, self)
        self._rules(f"{name}-rules", args, child)
        for file, text in dashboards(args.settings).items():
            self._dashboard(f"{name}-{file}", file, text, platform, settings.dashboards, child)
        self.register_outputs({"token": token})

    @staticmethod
    def _rules(name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions) -> None:
        """The alerts: for the Prometheus Operator, or as a file that any Prometheus reads."""
        platform, settings = args.platform, args.settings.monitoring
        content = rules_file(args.settings)
        if settings.scrape == "operator":
            k8s.apiextensions.CustomResource(
                name,
                api_version="monitoring.coreos.com/v1",
                kind="PrometheusRule",
                metadata={"name": RULES, "namespace": platform.namespace, "labels": {**settings.selector, **LABELS}},
                spec=content,
                opts=opts,
            )
            return
        k8s.core.v1.ConfigMap(
            name,
            metadata={"name": RULES, "namespace": platform.namespace, "labels": labels(RULES)},
            data={f"{RULES}.yaml": go_yaml.dump(content)},
            opts=opts,
        )

    @staticmethod
    def _dashboard(
        name: str,
        file: str,
        text: str,
        platform: Platform,
        settings: DashboardSettings,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """A ConfigMap for the sidecar of Grafana, to which the object for the Grafana Operator refers."""
        key = f"{file}.json"
        config = k8s.core.v1.ConfigMap(
            name,
            metadata={
                "name": f"{DASHBOARDS}-{file}",
                "namespace": platform.namespace,
                "labels": {**LABELS, settings.label: settings.label_value},
                # https://github.com/grafana/helm-charts/tree/main/charts/grafana#sidecar-for-dashboards
                "annotations": {"grafana_folder": settings.folder},
            },
            data={key: text},
            opts=opts,
        )
        if settings.grafana_operator:
            k8s.apiextensions.CustomResource(
                name,
                api_version="grafana.integreatly.org/v1beta1",
                kind="GrafanaDashboard",
                metadata={"name": f"{DASHBOARDS}-{file}", "namespace": platform.namespace, "labels": LABELS},
                spec={
                    "instanceSelector": {"matchLabels": settings.instance_selector},
                    # Grafana runs in another namespace.
                    "allowCrossNamespaceImport": True,
                    "folder": settings.folder,
                    "configMapRef": {"name": config.metadata.name, "key": key},
                },
                opts=opts,
            )


def _token(name: str, platform: Platform, store: Minio, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Name of a Secret with the token that opens the metrics of the object store."""
    if not store.monitor:
        raise ValueError("Monitoring needs a user of the object store: MinioArgs.monitored")
    access_key = store.monitor.access_key
    secret = k8s.core.v1.Secret(
        name,
        metadata={"namespace": platform.namespace, "labels": labels(STORE)},
        immutable=True,
        string_data={
            TOKEN: pulumi.Output.secret(store.monitor.secret_key).apply(lambda key: metrics_token(access_key, key)),
        },
        opts=opts,
    )
    return secret.metadata.name

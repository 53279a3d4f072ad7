"""What a Prometheus and a Grafana of the cluster get to see of the stack."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from settings.annotations import LabelKey, LabelValue
from settings.credentials import PlainText
from settings.quantities import Resources, default_resources
from settings.values import Label, Model

Scrape = Literal["none", "operator", "annotations"]


def _address(value: str) -> str:
    if not value or any(character.isspace() or character == "#" for character in value):
        raise ValueError("is not the address of a page; write it like https://git.home.example/flyte-home/monitoring")
    return value


class DashboardSettings(Model):
    """The dashboards for Grafana, in ConfigMaps."""

    label: LabelKey = "grafana_dashboard"
    """Label by which the sidecar of Grafana finds them."""
    label_value: LabelValue = "1"
    """Value of that label."""
    folder: Annotated[PlainText, Field(min_length=1, max_length=100)] = "Flyte"
    """Folder of the dashboards in Grafana."""
    grafana_operator: bool = False
    """Whether the Grafana Operator gets them too, as GrafanaDashboard; the cluster must have its definition."""
    instance_labels: dict[LabelKey, LabelValue] = {}
    """Labels of the Grafana that shows them, for the Grafana Operator; empty: dashboards: grafana."""

    @property
    def instance_selector(self) -> dict[str, str]:
        """Labels that select the Grafana."""
        return self.instance_labels or {"dashboards": "grafana"}


class MonitoringSettings(Model):
    """Metrics, alerts and dashboards; by default there are none."""

    scrape: Scrape = "none"
    """operator: objects of the Prometheus Operator, whose definitions the cluster must have; annotations: Services with
    prometheus.io annotations; none: no monitoring."""
    namespace: Label = "monitoring"
    """Namespace of Prometheus, whose pods may read the metrics; no other namespace may."""
    labels: dict[LabelKey, LabelValue] = {}
    """Labels by which Prometheus selects ServiceMonitors and rules; empty: release: kube-prometheus-stack."""
    interval: Annotated[int, Field(ge=5, le=120)] = 30
    """Seconds between two scrapes, for the Prometheus Operator."""
    cluster_metrics: bool = True
    """Whether Prometheus also has the metrics of kube-state-metrics and of the kubelet. Without them there are no
    alerts for backup, certificate, volumes and quotas."""
    drill_days: int = Field(default=100, ge=1, le=3650)
    """Days after which an alert asks for a rehearsed restore, if backup.drillSchedule does not run one by itself."""
    runbooks: Annotated[PlainText, AfterValidator(_address)] = "docs/monitoring.md"
    """Address of this repository's docs/monitoring.md, to which the alerts link."""
    dashboards: DashboardSettings = DashboardSettings()
    """The dashboards for Grafana, in ConfigMaps."""
    resources: Resources = default_resources("10m", "32Mi", "500m", "128Mi")
    """Requests and limits of the container that reads the metrics of the database."""

    @property
    def selector(self) -> dict[str, str]:
        """Labels by which Prometheus selects ServiceMonitors and rules."""
        return self.labels or {"release": "kube-prometheus-stack"}

    @property
    def enabled(self) -> bool:
        """Whether there is monitoring."""
        return self.scrape != "none"

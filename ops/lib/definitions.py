"""Definitions of other software on which objects of a stack depend, checked before an update changes anything."""

from ops.lib.kubectl import Cluster
from settings import Settings
from settings.errors import SettingsError

_PROMETHEUS = ("servicemonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com")
_GRAFANA = ("grafanadashboards.grafana.integreatly.org",)


def check_definitions(cluster: Cluster, settings: Settings) -> None:
    """Check that the cluster has the definitions of the objects for monitoring.

    Raises:
        SettingsError: one is missing, so that an update would stop in the middle; or the cluster does not answer.
    """
    monitoring = settings.monitoring
    if monitoring.scrape == "operator":
        _check(
            cluster,
            _PROMETHEUS,
            "flyte-home:monitoring.scrape: operator needs the Prometheus Operator",
            "install it, for example with the chart kube-prometheus-stack, or write pulumi config set --path "
            "flyte-home:monitoring.scrape annotations",
        )
    if monitoring.enabled and monitoring.dashboards.grafana_operator:
        _check(
            cluster,
            _GRAFANA,
            "flyte-home:monitoring.dashboards.grafanaOperator needs the Grafana Operator",
            "install it, or write pulumi config rm --path flyte-home:monitoring.dashboards.grafanaOperator",
        )


def _check(cluster: Cluster, needed: tuple[str, ...], why: str, remedy: str) -> None:
    listed = cluster.ask("get", "customresourcedefinitions", *needed, "--ignore-not-found", "--output=name")
    found = {line.partition("/")[2] for line in listed.split()}
    missing = [name for name in needed if name not in found]
    if missing:
        raise SettingsError(f"{why}: the cluster does not have {' and '.join(missing)}. Nothing was changed; {remedy}")

"""What ``make up`` needs of other software in the cluster: it says so before it changes anything."""

from typing import Any

import pytest

from ops.lib.definitions import check_definitions
from settings import Settings, settings_from
from settings.errors import SettingsError
from tests.conftest import stack
from tests.kubectl import FakeCluster

PROMETHEUS = ("servicemonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com")
GRAFANA = ("grafanadashboards.grafana.integreatly.org",)


def with_monitoring(**changed: Any) -> Settings:
    return settings_from(*stack(monitoring=changed or None))


def cluster(*definitions: str) -> FakeCluster:
    """A cluster with these definitions."""
    found = FakeCluster()
    for asked in (PROMETHEUS, GRAFANA):
        lines = [f"customresourcedefinition.apiextensions.k8s.io/{name}\n" for name in asked if name in definitions]
        found.on(f"get customresourcedefinitions {' '.join(asked)}", "".join(lines))
    return found


@pytest.mark.parametrize("changed", [{}, {"scrape": "annotations"}], ids=["no monitoring", "annotations"])
def test_a_stack_without_objects_of_an_operator_asks_for_no_definition(changed: dict[str, str]):
    # Any question fails, because this cluster has no answers.
    check_definitions(FakeCluster(), with_monitoring(**changed))


@pytest.mark.parametrize("missing", PROMETHEUS)
def test_a_missing_definition_of_the_prometheus_operator_is_named_with_a_remedy(missing: str):
    there = [name for name in PROMETHEUS if name != missing]

    with pytest.raises(SettingsError) as error:
        check_definitions(cluster(*there), with_monitoring(scrape="operator"))

    assert f"the cluster does not have {missing}. Nothing was changed" in str(error.value)
    assert "flyte-home:monitoring.scrape: operator needs the Prometheus Operator" in str(error.value)
    assert "kube-prometheus-stack" in str(error.value)


def test_the_definition_of_the_grafana_operator_is_needed_only_for_its_dashboards():
    check_definitions(cluster(*PROMETHEUS), with_monitoring(scrape="operator"))
    with_grafana = with_monitoring(scrape="operator", dashboards={"grafanaOperator": True})

    with pytest.raises(SettingsError, match=r"grafanaOperator needs the Grafana Operator.*grafanadashboards"):
        check_definitions(cluster(*PROMETHEUS), with_grafana)
    check_definitions(cluster(*PROMETHEUS, *GRAFANA), with_grafana)

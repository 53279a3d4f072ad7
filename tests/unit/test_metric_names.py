"""Every metric that an alert or a dashboard names exists; for database and store, tests/scripts checks it itself."""

import re

import pytest

from components.monitoring.targets import TARGETS, Target
from tests.metrics import AFTER_A_WORKFLOW, captured, expressions, names, of_service


@pytest.mark.parametrize(
    ("service", "component"), [("flyte-metrics", "flyte"), ("postgres-cluster-metrics", "cnpg"), ("", "cluster")]
)
def test_every_metric_is_in_the_capture_of_its_component(service: str, component: str):
    wanted = of_service(service)

    assert len(wanted) > 5
    assert wanted - captured(component) == set()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_metric_that_is_used_is_dropped(target: Target):
    assert not [name for name in of_service(target.name) if re.fullmatch(target.dropped, name)]


def test_every_metric_in_an_expression_belongs_to_a_component():
    services = ("flyte-metrics", "minio-metrics", "postgres-metrics", "postgres-cluster-metrics", "")
    wanted = set().union(*map(of_service, services))

    assert len(expressions()) > 50
    assert {"pg_up", "flyte:propeller:all:main_depth", "kube_resourcequota"} <= wanted
    assert wanted >= AFTER_A_WORKFLOW
    assert not {name for name in wanted if name in {"sum", "rate", "increase", "up"}}


def test_the_names_of_a_scrape_are_read_without_labels_values_and_comments():
    scrape = '# HELP a Text.\n# TYPE a counter\na 1\nflyte:b{c="d e",f="}"} 2.5e+06 1700000000\n\nc_sum 0\n'

    assert names(scrape) == {"a", "flyte:b", "c_sum"}

"""Which metrics the alerts and the dashboards name, and which a component really has."""

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

from components.monitoring.alerts import rules_file
from components.monitoring.boards import dashboards
from settings import settings_from
from tests.conftest import stack
from tests.unit.test_monitoring import CLUSTER, EVERYTHING

CAPTURED = Path(__file__).parent / "captured"
"""Folder with the names of the metrics of components that cannot run in every layer."""
_SERIES = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^{}]*)\}")
# What Prometheus itself adds.
_OF_PROMETHEUS = {"up", "ALERTS"}


def expressions() -> list[str]:
    """Every expression of the alerts and dashboards of a stack that has everything, with each kind of database."""
    return list(dict.fromkeys([*_expressions(EVERYTHING), *_expressions(CLUSTER)]))


def _expressions(changed: dict[str, Any]) -> list[str]:
    settings = settings_from(*stack(**changed))
    rules = [rule["expr"] for group in rules_file(settings)["groups"] for rule in group["rules"]]
    boards: list[dict[str, Any]] = [json.loads(text) for text in dashboards(settings).values()]
    queries = [target["expr"] for board in boards for panel in board["panels"] for target in panel.get("targets", [])]
    return rules + queries


def of_service(service: str) -> set[str]:
    """Names of the metrics that alerts and dashboards read from a Service; of the cluster, if it is empty."""
    found = set()
    for expression in expressions():
        for name, labels in _SERIES.findall(expression):
            services = re.findall(r'service=~?"([^"]*)"', labels)
            if name not in _OF_PROMETHEUS and (service in services[0].split("|") if services else not service):
                found.add(name)
    return found


def names(scrape: str) -> set[str]:
    """Names of the series in the text that a component serves.

    https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    """
    lines = [line for line in scrape.splitlines() if line.strip() and not line.startswith("#")]
    return {re.split(r"[{ ]", line, maxsplit=1)[0] for line in lines}


def scraped(address: str, token: str = "") -> str:
    """The text at an address, requested as Prometheus does.

    Raises:
        urllib.error.HTTPError: the server answers with an error.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 (the address is ours)
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return str(answer.read().decode())


def captured(component: str) -> set[str]:
    """Names in the committed capture of a component."""
    lines = (CAPTURED / f"{component}.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


AFTER_A_WORKFLOW = {"flyte:propeller:all:workflow:success_duration_ms_count"}
"""Metrics that Flyte has only after a workflow has succeeded, because they have its project as a label."""

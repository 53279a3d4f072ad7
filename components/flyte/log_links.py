"""Flyte's configuration of the links from a task to its logs."""

import json
import re
from typing import Any
from urllib.parse import quote

from settings.log_links import Grafana, LogLink, LogLinks


def log_link_plugins(settings: LogLinks) -> dict[str, Any]:
    """The chart's value ``configuration.logging.plugins``."""
    off = {kind: {"enabled": False} for kind in ("kubernetes", "cloudwatch", "stackdriver")}
    return {**off, "custom": [{"displayName": link.name, "templateUris": [link.uri]} for link in links(settings)]}


def links(settings: LogLinks) -> list[LogLink]:
    """All links, as templates."""
    found = []
    if settings.kubernetes_dashboard:
        path = "/#/log/{{ .namespace }}/{{ .podName }}/pod?namespace={{ .namespace }}"
        found.append(LogLink(name="Kubernetes Dashboard", uri=settings.kubernetes_dashboard + path))
    if settings.grafana.url:
        found.append(LogLink(name="Grafana", uri=_explore(settings.grafana)))
    return [*found, *settings.custom]


def _explore(grafana: Grafana) -> str:
    """https://grafana.com/docs/grafana/latest/explore/get-started-with-explore/#generate-explore-urls-from-external-tools"""
    pane = {
        "datasource": grafana.datasource,
        "queries": [{"refId": "A", "expr": grafana.query}],
        # In milliseconds.
        "range": {"from": "{{ .podUnixStartTime }}000", "to": "{{ .podUnixFinishTime }}000"},
    }
    # Flyte recognizes its placeholders only unquoted.
    encoded = re.sub(
        r"%7B%7B%20\.([A-Za-z0-9]+)%20%7D%7D",
        r"{{ .\1 }}",
        quote(json.dumps({"logs": pane}, separators=(",", ":")), safe="."),
    )
    return f"{grafana.url}/explore?schemaVersion=1&orgId=1&panes={encoded}"

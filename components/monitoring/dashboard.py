"""A small builder of dashboards for Grafana.

It has the three kinds of panels that the dashboards of the stack need, in Grafana's JSON model
(https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model/).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

SCHEMA = 42
"""Version of the JSON model, of Grafana 12.2 and newer; an older Grafana ignores what it does not know."""
_COLUMNS = 24
_HEIGHTS = {"stat": 4, "timeseries": 8, "table": 8}
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Query:
    """A query in PromQL, and the name of its series."""

    expression: str
    legend: str = ""
    """Name of each series, with labels in double braces; empty: the series' own labels."""


@dataclass(frozen=True)
class Panel:
    """A panel."""

    title: str
    queries: Sequence[Query]
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    unit: str = "short"
    """Unit of the values, in Grafana's words (https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/#unit)."""
    width: int = 8
    """Width in columns, of which a row has 24."""
    about: str = ""
    """What the panel shows, where the title does not say it."""
    bad: float | None = None
    """Value from which a stat is red, or, if ``below``, under which it is."""
    below: bool = False
    columns: Sequence[str] = ()
    """Labels that a table shows, in this order, before the value."""


@dataclass(frozen=True)
class Row:
    """A heading with panels below it, from left to right."""

    title: str
    panels: Sequence[Panel]


def dashboard(uid: str, title: str, about: str, rows: Sequence[Row]) -> str:
    """The JSON of a dashboard. Its user chooses the Prometheus."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        panels.append(_numbered(panels, {"type": "row", "title": row.title, "collapsed": False, "panels": []}))
        panels[-1]["gridPos"] = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        top, left, height = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                top, left, height = top + height, 0, 0
            own = _HEIGHTS[panel.kind]
            panels.append(_numbered(panels, _panel(panel)))
            panels[-1]["gridPos"] = {"x": left, "y": top, "w": panel.width, "h": own}
            left, height = left + panel.width, max(height, own)
        top += height
    return json.dumps(
        {
            "uid": uid,
            "title": title,
            "description": about,
            "tags": ["flyte"],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "1m",
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "",
            "templating": {
                "list": [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
            },
            "annotations": {"list": []},
            "links": [],
            "panels": panels,
        },
        indent=1,
    )


def _numbered(others: Sequence[Any], panel: dict[str, Any]) -> dict[str, Any]:
    return {"id": len(others) + 1, **panel}


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [_target(panel, number, query) for number, query in enumerate(panel.queries)]
    made: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _DATASOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
    }
    if panel.about:
        made["description"] = panel.about
    if panel.kind == "timeseries":
        made["options"] = {
            "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
        made["fieldConfig"]["defaults"]["custom"] = {"fillOpacity": 10, "showPoints": "never"}
    elif panel.kind == "stat":
        made["options"] = {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "area",
        }
        made["fieldConfig"]["defaults"] |= {"color": {"mode": "thresholds"}, "thresholds": _thresholds(panel)}
    else:
        made["options"] = {"showHeader": True}
        made["transformations"] = [_columns(panel)]
    return made


def _thresholds(panel: Panel) -> dict[str, Any]:
    first, second = ("red", "green") if panel.below else ("green", "red")
    steps: list[dict[str, Any]] = [{"color": "green" if panel.bad is None else first, "value": None}]
    if panel.bad is not None:
        steps.append({"color": second, "value": panel.bad})
    return {"mode": "absolute", "steps": steps}


def _target(panel: Panel, number: int, query: Query) -> dict[str, Any]:
    target: dict[str, Any] = {
        "refId": chr(ord("A") + number),
        "datasource": _DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
    }
    if panel.kind == "table":
        target |= {"format": "table", "instant": True, "range": False}
    return target


def _columns(panel: Panel) -> dict[str, Any]:
    """Only the labels of ``columns`` and the value, in this order."""
    order = {name: place for place, name in enumerate([*panel.columns, "Value"])}
    return {"id": "filterFieldsByName", "options": {"include": {"names": list(order)}}}

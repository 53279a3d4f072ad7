"""Where the console's links to the logs of a task lead."""

import json
import re
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field

from components.sizes import Model

# What Flyte fills in (https://github.com/flyteorg/flyte/blob/v1.16.8/flyteplugins/go/tasks/pluginmachinery/tasklog).
_VARIABLES = {
    "containerID",
    "containerName",
    "executionDomain",
    "executionName",
    "executionProject",
    "generatedName",
    "hostname",
    "logName",
    "namespace",
    "nodeID",
    "nodeName",
    "podName",
    "podRFC3339FinishTime",
    "podRFC3339StartTime",
    "podUID",
    "podUnixFinishTime",
    "podUnixStartTime",
    "taskDomain",
    "taskID",
    "taskProject",
    "taskRetryAttempt",
    "taskVersion",
}
_VARIABLE = re.compile(r"{{\s*\.([A-Za-z0-9]+)\s*}}")


def _address(value: str) -> str:
    if value and (not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]_/-]+", value) or not urlsplit(value).hostname):
        raise ValueError("is not an address; write it like https://grafana.home.example, as the browser reaches it")
    return value.rstrip("/")


def _template(value: str) -> str:
    _query(value)
    if not re.fullmatch(r"https?://[A-Za-z0-9].*", _VARIABLE.sub("", value)):
        raise ValueError("is not an address; write it like https://logs.home.example/?pod={{ .podName }}")
    return value


def _query(value: str) -> str:
    unknown = set(_VARIABLE.findall(value)) - _VARIABLES
    if unknown or "{{" in _VARIABLE.sub("", value):
        known = ", ".join(sorted(_VARIABLES))
        raise ValueError(f"has a placeholder that Flyte does not fill in; it knows {{{{ .NAME }}}} with {known}")
    return value


class Grafana(Model):
    """Grafana's Explore, with Loki as the source."""

    url: Annotated[str, AfterValidator(_address)] = Field(default="", description="As the browser reaches it.")
    datasource: str = Field(default="loki", pattern=r"^[A-Za-z0-9_-]+$", description="UID of the Loki data source.")
    query: Annotated[str, AfterValidator(_query)] = Field(
        default='{namespace="{{ .namespace }}", pod="{{ .podName }}"}',
        description="LogQL; the labels are those of Alloy and Promtail.",
    )


class LogLink(Model):
    """A link to anything else."""

    name: str = Field(min_length=1, description="What the console calls it.")
    uri: Annotated[str, AfterValidator(_template)] = Field(description="Address, with Flyte's {{ .placeholders }}.")


class LogLinks(Model):
    """Links from a task in the console to its logs; none unless one is set."""

    kubernetes_dashboard: Annotated[str, AfterValidator(_address)] = Field(
        default="", description="Address of the Kubernetes Dashboard, as the browser reaches it."
    )
    grafana: Grafana = Grafana()
    custom: list[LogLink] = Field(default=[], description="Further ones.")

    @property
    def links(self) -> list[LogLink]:
        """All of them, as templates."""
        found = []
        if self.kubernetes_dashboard:
            path = "/#/log/{{ .namespace }}/{{ .podName }}/pod?namespace={{ .namespace }}"
            found.append(LogLink(name="Kubernetes Dashboard", uri=self.kubernetes_dashboard + path))
        if self.grafana.url:
            found.append(LogLink(name="Grafana", uri=_explore(self.grafana)))
        return [*found, *self.custom]

    @property
    def configuration(self) -> dict[str, Any]:
        """The chart's ``configuration.logging.plugins``."""
        off = {kind: {"enabled": False} for kind in ("kubernetes", "cloudwatch", "stackdriver")}
        return {**off, "custom": [{"displayName": link.name, "templateUris": [link.uri]} for link in self.links]}


def _explore(grafana: Grafana) -> str:
    """https://grafana.com/docs/grafana/latest/explore/get-started-with-explore/#generate-explore-urls-from-external-tools"""
    pane = {
        "datasource": grafana.datasource,
        "queries": [{"refId": "A", "expr": grafana.query}],
        # Milliseconds.
        "range": {"from": "{{ .podUnixStartTime }}000", "to": "{{ .podUnixFinishTime }}000"},
    }
    # Flyte finds its placeholders only as they are.
    encoded = re.sub(
        r"%7B%7B%20\.([A-Za-z0-9]+)%20%7D%7D",
        r"{{ .\1 }}",
        quote(json.dumps({"logs": pane}, separators=(",", ":")), safe="."),
    )
    return f"{grafana.url}/explore?schemaVersion=1&orgId=1&panes={encoded}"

"""Links in the console from a task to its logs."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from settings.credentials import PlainText, check_no_credential
from settings.values import Model, PartError, has_server

# https://github.com/flyteorg/flyte/blob/v1.16.8/flyteplugins/go/tasks/pluginmachinery/tasklog
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
    if value and not (re.fullmatch(r"https?://[A-Za-z0-9.:\[\]_/-]+", value) and has_server(value)):
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
        raise ValueError(f"has a placeholder that Flyte does not replace; write {{{{ .NAME }}}} with one of {known}")
    return check_no_credential(value)


class Grafana(Model):
    """Grafana's Explore, with Loki as the source."""

    url: Annotated[str, AfterValidator(_address)] = ""
    """Address of Grafana, as the browser reaches it."""
    datasource: str = Field(default="loki", pattern=r"^[A-Za-z0-9_-]+$")
    """UID of the Loki data source."""
    query: Annotated[str, AfterValidator(_query)] = '{namespace="{{ .namespace }}", pod="{{ .podName }}"}'
    """LogQL query. The default uses the labels that Alloy and Promtail set."""

    def model_post_init(self, _context: object) -> None:
        changed = [name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default]
        if changed and not self.url:
            raise PartError(
                "has datasource or query, but no url, so that there is no link; write it",
                "url",
                "https://grafana.home.example",
            )


class LogLink(Model):
    """A link to any other log viewer."""

    name: PlainText = Field(min_length=1)
    """Name that the console shows."""
    uri: Annotated[str, AfterValidator(_template)]
    """Address, with Flyte's {{ .placeholders }}."""


class LogLinks(Model):
    """Links from a task in the console to its logs; by default none."""

    kubernetes_dashboard: Annotated[str, AfterValidator(_address)] = ""
    """Address of the Kubernetes Dashboard, as the browser reaches it."""
    grafana: Grafana = Grafana()
    """Grafana with Loki."""
    custom: list[LogLink] = []
    """Further links."""

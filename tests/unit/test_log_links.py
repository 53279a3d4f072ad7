"""Links from a task in the console to its logs."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from components.flyte.log_links import links as all_links
from ops.lib.recording import Recording
from settings import settings_from
from settings.errors import SettingsError
from tests.conftest import run, stack


def plugins(recording: Recording) -> dict[str, Any]:
    return recording.one("Release").plain["values"]["configuration"]["logging"]["plugins"]


def links(**settings: Any) -> dict[str, str]:
    return {link.name: link.uri for link in all_links(settings_from(*stack(logLinks=settings)).log_links)}


def filled(uri: str) -> str:
    """The address with its placeholders replaced, as Flyte replaces them."""
    for name, value in {
        "podName": "pod-1",
        "namespace": "remedy-development",
        "podUnixStartTime": "1700000000",
    }.items():
        uri = uri.replace(f"{{{{ .{name} }}}}", value)
    return uri.replace("{{ .podUnixFinishTime }}", "1700000060")


def test_by_default_there_are_no_links_not_even_the_example_ones_of_the_chart(dev: Recording):
    found = plugins(dev)

    assert [found[kind]["enabled"] for kind in ("kubernetes", "cloudwatch", "stackdriver")] == [False] * 3
    assert found["custom"] == []


def test_the_link_to_the_kubernetes_dashboard_shows_the_pod():
    found = plugins(run(logLinks={"kubernetesDashboard": "https://dashboard.home.example/"}))["custom"]

    assert [filled(uri) for link in found for uri in link["templateUris"]] == [
        "https://dashboard.home.example/#/log/remedy-development/pod-1/pod?namespace=remedy-development"
    ]
    assert found[0]["displayName"] == "Kubernetes Dashboard"


def test_the_link_to_grafana_queries_loki_for_the_pod_and_the_time_it_ran():
    (uri,) = links(grafana={"url": "https://grafana.home.example", "datasource": "P8E80"}).values()
    address = urlsplit(filled(uri))
    (pane,) = json.loads(parse_qs(address.query)["panes"][0]).values()

    assert f"{address.scheme}://{address.netloc}{address.path}" == "https://grafana.home.example/explore"
    assert pane["datasource"] == "P8E80"
    assert pane["queries"][0]["expr"] == '{namespace="remedy-development", pod="pod-1"}'
    assert pane["range"] == {"from": "1700000000000", "to": "1700000060000"}


def test_a_custom_link_is_used_as_it_is_configured():
    uri = "https://logs.home.example/?pod={{ .podName }}&container={{.containerName}}"

    assert links(custom=[{"name": "Logs", "uri": uri}]) == {"Logs": uri}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"custom": [{"name": "Logs", "uri": "https://logs/?p={{ .pod }}"}]},
            "placeholder that Flyte does not replace",
        ),
        ({"custom": [{"name": "Logs", "uri": "https://logs/?p={{ .podName }"}]}, "placeholder that Flyte"),
        ({"custom": [{"name": "Logs", "uri": "logs.home.example"}]}, "is not an address"),
        ({"kubernetesDashboard": "dashboard.home.example"}, "is not an address"),
        ({"grafana": {"url": "https://user:secret@grafana"}}, "is not an address"),
        ({"grafana": {"url": "https://grafana", "query": "{{ .x }}"}}, "placeholder that Flyte does not replace"),
    ],
)
def test_a_link_that_would_not_work_is_rejected(settings: dict[str, Any], said: str):
    with pytest.raises(SettingsError, match=said):
        settings_from(*stack(logLinks=settings))

"""On which nodes pods run."""

from typing import Any

import pytest

from ops.lib.recording import Recording
from settings import settings_from
from settings.errors import SettingsError
from tests.conftest import run, stack

ARM = {"nodeSelector": {"kubernetes.io/arch": "arm64"}, "tolerations": [{"key": "home/slow", "effect": "NoSchedule"}]}


def pods(recording: Recording) -> dict[str, dict[str, Any]]:
    """The specification of every pod that the stack describes itself, by kind and name."""
    found = {}
    for resource in recording.resources:
        template = resource.plain.get("template") or resource.plain.get("spec", {}).get("template")
        if resource.is_manifest and template:
            found[f"{resource.kind}:{resource.name}"] = template["spec"]
    found["Release"] = recording.one("Release").plain["values"]["deployment"]["extraPodSpec"]
    return found


def placed(recording: Recording) -> set[str]:
    return {name for name, pod in pods(recording).items() if {"nodeSelector", "tolerations"} <= set(pod)}


def test_without_a_word_pods_run_anywhere(dev: Recording):
    assert placed(dev) == set()


def test_the_platforms_pods_run_where_the_settings_say_and_tasks_anywhere():
    found = run(placement=ARM)

    assert placed(found) == {name for name in pods(found) if not name.startswith("PodTemplate:")}
    pod = pods(found)["StatefulSet:postgres"]
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert pod["tolerations"] == [{"key": "home/slow", "operator": "Exists", "effect": "NoSchedule"}]


def test_tasks_have_nodes_of_their_own():
    toleration = {"key": "nvidia.com/gpu", "value": "present"}
    found = run(tasks={"placement": {"nodeSelector": {"role": "work"}, "tolerations": [toleration]}})

    assert placed(found) == {name for name in pods(found) if name.startswith("PodTemplate:")}
    assert len(placed(found)) == 3
    for name in placed(found):
        assert pods(found)[name]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Equal", "value": "present"}]


@pytest.mark.parametrize(
    ("placement", "said"),
    [
        ({"nodeSelector": {"kubernetes.io/arch": "arm 64"}}, "is not the value of a label"),
        ({"nodeSelector": {"not a key": "x"}}, "is not the key of a label"),
        ({"tolerations": [{"key": "a", "effect": "Never"}]}, "flyte-home:placement.tolerations"),
        ({"tolerations": [{"value": "a"}]}, "is missing"),
        ({"nodeSelectors": {}}, "there is no such setting"),
    ],
)
def test_what_no_node_could_be_is_refused(placement: dict[str, Any], said: str):
    with pytest.raises(SettingsError, match=said):
        settings_from(*stack(placement=placement))

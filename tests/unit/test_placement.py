"""Which nodes pods run on."""

from typing import Any

import pytest

from ops.lib.recording import Recording
from settings import settings_from
from settings.errors import SettingsError
from tests.conftest import run, stack

ARM = {"nodeSelector": {"kubernetes.io/arch": "arm64"}, "tolerations": [{"key": "home/slow", "effect": "NoSchedule"}]}


def pods(recording: Recording) -> dict[str, dict[str, Any]]:
    """The specification of every pod that the stack defines itself, by kind and name."""
    found = {}
    for resource in recording.resources:
        template = resource.plain.get("template") or resource.plain.get("spec", {}).get("template")
        if resource.is_manifest and template:
            found[f"{resource.kind}:{resource.name}"] = template["spec"]
    found["Release"] = recording.one("Release").plain["values"]["deployment"]["extraPodSpec"]
    return found


def placed(recording: Recording) -> set[str]:
    return {name for name, pod in pods(recording).items() if {"nodeSelector", "tolerations"} <= set(pod)}


def test_by_default_pods_run_anywhere(dev: Recording):
    assert placed(dev) == set()


def test_the_placement_of_the_platform_does_not_apply_to_tasks():
    found = run(placement=ARM)

    assert placed(found) == {name for name in pods(found) if not name.startswith("PodTemplate:")}
    pod = pods(found)["StatefulSet:postgres"]
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert pod["tolerations"] == [{"key": "home/slow", "operator": "Exists", "effect": "NoSchedule"}]


def test_tasks_can_have_their_own_nodes():
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
def test_an_invalid_placement_is_rejected(placement: dict[str, Any], said: str):
    with pytest.raises(SettingsError, match=said):
        settings_from(*stack(placement=placement))

"""GPUs for tasks."""

from typing import Any

import pytest

from ops.lib.recording import Recording
from settings import rules, settings_from
from settings.errors import SettingsError
from tests.conftest import run, stack

PROJECTS = [{"name": "vision", "gpus": 2}, {"name": "remedy"}]


def inline(recording: Recording) -> dict[str, Any]:
    """What Flyte's configuration gets from the stack."""
    found: dict[str, Any] = recording.one("Release").plain["values"]["configuration"]["inline"]
    return found


def with_gpus(**settings: Any) -> Recording:
    return run(**{"projects": PROJECTS, "domains": ["development"], "tidalCreds": None, **settings})


def warnings(**settings: Any) -> list[str]:
    found = settings_from(*stack(**{"projects": PROJECTS, "tidalCreds": None, **settings}))
    return list(rules.warnings(found))


def test_by_default_flyte_and_the_quotas_have_nothing_about_gpus(dev: Recording):
    assert not [key for key in inline(dev)["plugins"]["k8s"] if "gpu" in key or "tolerations" in key]
    assert "gpu" not in inline(dev)["task_resources"]["limits"]
    assert not [key for found in dev.of("ResourceQuota") for key in found.plain["spec"]["hard"] if "gpu" in key]


def test_each_project_may_use_its_number_of_gpus_and_the_others_none():
    hard = {found.name: found.plain["spec"]["hard"] for found in with_gpus().of("ResourceQuota")}

    assert hard["vision-development"]["requests.nvidia.com/gpu"] == "2"
    assert hard["remedy-development"]["requests.nvidia.com/gpu"] == "0"


def test_flyte_lets_a_task_request_as_many_gpus_as_a_project_has():
    values = inline(with_gpus())

    assert values["task_resources"]["limits"]["gpu"] == "2"
    assert values["task_resources"]["limits"]["cpu"] == "4"
    assert values["plugins"]["k8s"]["gpu-resource-name"] == "nvidia.com/gpu"
    assert "resource-tolerations" not in values["plugins"]["k8s"]


def test_flyte_adds_the_tolerations_to_pods_that_request_the_device():
    gpus = {"resourceName": "amd.com/gpu", "tolerations": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}
    k8s = inline(with_gpus(gpus=gpus))["plugins"]["k8s"]

    assert k8s["gpu-resource-name"] == "amd.com/gpu"
    assert k8s["resource-tolerations"] == [
        {"amd.com/gpu": [{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]}
    ]


def test_flyte_looks_for_the_model_and_the_partition_in_the_given_labels():
    k8s = inline(with_gpus(gpus={"deviceLabel": "home/model", "partitionLabel": "home/part"}))["plugins"]["k8s"]

    assert k8s["gpu-device-node-label"] == "home/model"
    assert k8s["gpu-partition-size-node-label"] == "home/part"


def test_only_the_pods_of_projects_with_gpus_get_the_runtime_class():
    templates = {
        one.name: one.plain["template"]["spec"] for one in with_gpus(gpus={"runtimeClass": "nvidia"}).of("PodTemplate")
    }

    assert templates["vision-development"]["runtimeClassName"] == "nvidia"
    assert "runtimeClassName" not in templates["remedy-development"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"gpus": {"resourceName": "gpu"}},
            "flyte-home:gpus.resourceName: 'gpu' is not the name of a device; write one",
        ),
        ({"gpus": {"resourceName": "nvidia.com/gpu=1"}}, "is not the name of a device"),
        ({"gpus": {"resourceName": "kubernetes.io/gpu"}}, "is not the name of a device"),
        ({"gpus": {"resourceName": ""}}, "is not the name of a device"),
        (
            {"gpus": {"runtimeClass": "Nvidia"}},
            "flyte-home:gpus.runtimeClass: 'Nvidia' does not have the form of a name",
        ),
        ({"gpus": {"deviceLabel": "a b"}}, "flyte-home:gpus.deviceLabel: 'a b' is not the key of a label"),
        ({"gpus": {"tolerations": [{"value": "a"}]}}, "flyte-home:gpus.tolerations[0].key: is missing"),
        ({"projects": [{"name": "vision", "gpus": -1}]}, "flyte-home:projects[0].gpus"),
        ({"projects": [{"name": "vision", "gpus": "one"}]}, "flyte-home:projects[0].gpus"),
        (
            {"gpus": {"runtimeClass": "nvidia"}, "projects": [{"name": "remedy"}]},
            "flyte-home:gpus: has no effect, because no project has GPUs; write how many one has, pulumi config set "
            "--path flyte-home:projects[0].gpus 1",
        ),
    ],
)
def test_wrong_settings_for_gpus_are_rejected_with_the_remedy(changed: dict[str, Any], said: str):
    with pytest.raises(SettingsError) as caught:
        settings_from(*stack(**{"projects": PROJECTS, "tidalCreds": None, **changed}))

    assert said in str(caught.value).replace("'flyte-home:projects[0].gpus'", "flyte-home:projects[0].gpus")


def test_a_device_that_flyte_does_not_request_for_gpu_1_is_named():
    (warning,) = warnings(gpus={"resourceName": "amd.com/gpu"})

    assert "Flyte 1.16 requests nvidia.com/gpu and not 'amd.com/gpu'" in warning
    assert warnings() == []


def test_a_project_whose_gpus_nothing_limits_is_named():
    (warning,) = warnings(projects=[{"name": "vision", "gpus": 1, "quota": {"enabled": False}}])

    assert "flyte-home:projects[0].gpus: does not limit the tasks of vision" in warning

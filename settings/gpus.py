"""GPUs for tasks."""

from typing import Annotated

from pydantic import AfterValidator

from settings.annotations import LabelKey, is_key
from settings.placement import Toleration
from settings.values import Model, ObjectName

NVIDIA = "nvidia.com/gpu"
"""Resource that Flyte requests for a task with ``gpu="1"``, whatever the name in its configuration.

https://github.com/flyteorg/flyte/blob/v1.16.8/flyteplugins/go/tasks/pluginmachinery/flytek8s/utils.go#L41
"""


def _resource(value: str) -> str:
    domain = value.rpartition("/")[0]
    # https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources
    if not domain or not is_key(value) or domain.endswith("kubernetes.io") or domain.startswith("requests."):
        raise ValueError(
            "is not the name of a device; write one of kubectl get nodes -o jsonpath='{.items[*].status.allocatable}', "
            "such as nvidia.com/gpu"
        )
    return value


class GpuSettings(Model):
    """How tasks get GPUs, in the projects that have some: ``flyte-home:projects[].gpus``."""

    resource_name: Annotated[str, AfterValidator(_resource)] = NVIDIA
    """Resource with which the device plugin offers GPUs."""
    runtime_class: ObjectName = ""
    """RuntimeClass of all task pods of these projects, such as k3s's nvidia; empty: the default of the cluster."""
    tolerations: list[Toleration] = []
    """Taints that a node may have for tasks that request a GPU."""
    device_label: LabelKey = "nvidia.com/gpu.product"
    """Label of a node with the model of its GPU, which a task chooses with accelerator."""
    partition_label: LabelKey = "k8s.amazonaws.com/gpu-partition-size"
    """Label of a node with the size of its GPU's partitions, which a task chooses with accelerator."""

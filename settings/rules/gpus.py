"""Rules for GPUs."""

from collections.abc import Iterator

from settings.gpus import NVIDIA, GpuSettings
from settings.messages.commands import remove_command, set_command
from settings.messages.shown import shown
from settings.stack import PROJECT, Settings


def gpu_problems(settings: Settings) -> Iterator[str]:
    """Settings for GPUs that no project has."""
    if settings.gpus != GpuSettings() and not settings.most_gpus:
        yield (
            f"{PROJECT}:gpus: has no effect, because no project has GPUs; write how many one has, "
            f"{set_command(f'{PROJECT}:projects[0].gpus', 1)}, or {remove_command(f'{PROJECT}:gpus')}"
        )


def gpu_warnings(settings: Settings) -> Iterator[str]:
    """GPUs that a task does not get in the usual way, and projects without a limit."""
    if not settings.most_gpus:
        return
    name = settings.gpus.resource_name
    if name != NVIDIA:
        yield (
            f'{PROJECT}:gpus.resourceName: for a task with gpu="1", Flyte 1.16 requests {NVIDIA} and not '
            f"{shown(name)}. A task gets {shown(name)} with a pod template whose container requests it; see "
            "docs/fitting-in.md"
        )
    for index, project in enumerate(settings.projects):
        quota = project.quota or settings.tasks.quota
        if not quota.enabled:
            yield (
                f"{PROJECT}:projects[{index}].gpus: does not limit the tasks of {project.name}, because its namespaces "
                "have no quota"
            )

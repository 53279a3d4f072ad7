"""The check of the GPUs."""

import json
from collections.abc import Iterator

from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack


def check_gpus(stack: Stack) -> Iterator[Result]:
    """Check that some node offers as many GPUs as a task may request, and that the runtime class exists."""
    gpus, most = stack.settings.gpus, stack.settings.most_gpus
    answer = stack.cluster.run("get", "nodes", "--output=json")
    if answer.returncode:
        yield remark("the nodes cannot be read, so it is unknown whether they have GPUs")
        return
    nodes = json.loads(answer.stdout)["items"]
    offered = {
        node["metadata"]["name"]: int(node["status"].get("allocatable", {}).get(gpus.resource_name, 0))
        for node in nodes
    }
    largest = max(offered.values(), default=0)
    show = stack.cluster.shown("get", "nodes", "--output=jsonpath={.items[*].status.allocatable}")
    fine = True
    if not largest:
        fine = False
        yield wrong(
            f"no node offers {gpus.resource_name}, so a task with a GPU never starts: the device plugin does not run, "
            "or offers another name; write that name to flyte-home:gpus.resourceName",
            show,
        )
    elif largest < most:
        fine = False
        yield remark(
            f"a task may request {most} of {gpus.resource_name}, but no node offers more than {largest}; such a task "
            "never starts. flyte-home:projects[].gpus says how many",
            show,
        )
    if gpus.runtime_class and not stack.cluster.ask(
        "get", "runtimeclass", gpus.runtime_class, "--ignore-not-found", "--output=name"
    ):
        fine = False
        yield wrong(
            f"there is no RuntimeClass {gpus.runtime_class}, so no task pod of a project with GPUs is accepted; "
            "install it, or leave out flyte-home:gpus.runtimeClass",
            stack.cluster.shown("get", "runtimeclass"),
        )
    if fine:
        yield ok(", ".join(f"{name} offers {count}" for name, count in offered.items() if count))

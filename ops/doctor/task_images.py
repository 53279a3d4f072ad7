"""The check of the images of tasks."""

import json
from collections.abc import Iterator

from ops.doctor.check import Result, ok, remark
from ops.doctor.stack import Stack
from ops.lib.text import one_line


def check_task_images(stack: Stack) -> Iterator[Result]:
    """Check that no task pod that is still there pulled its image although the node may have had it.

    Whether an image has Python's bytecode cannot be seen from outside of it.
    """
    namespaces = {scope.namespace for scope in stack.settings.task_scopes}
    answer = stack.cluster.run("get", "pods", "--all-namespaces", "--selector=execution-id", "--output=json")
    if answer.returncode:
        yield remark(f"the pods of the tasks cannot be read: {one_line(answer.stderr)}")
        return
    pulled = sorted(
        {
            container["image"]
            for pod in json.loads(answer.stdout)["items"]
            if pod["metadata"]["namespace"] in namespaces
            for container in pod["spec"]["containers"]
            if container.get("imagePullPolicy") == "Always"
        }
    )
    for image in pulled:
        yield remark(
            f"every task with the image {image} asks its registry for it before it starts (imagePullPolicy: Always); "
            "write IfNotPresent in the pod template of the task, and give each build of the image a tag of its own"
        )
    if not pulled:
        yield ok("no task asks a registry for an image that the node has")

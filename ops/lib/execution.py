"""An execution of the example on a stack: start it, follow it, and explain why it failed."""

import json
import subprocess
import tempfile
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.lib import example_workflow
from ops.lib.example_workflow import WORKFLOW, ExampleError, pyflyte
from ops.lib.kubectl import Cluster
from ops.lib.progress import Progress, Redrawing
from ops.lib.text import one_line

_FOLLOW = Path(__file__).with_name("follow.py")
_LOG_LINES = 40


class LateError(ExampleError):
    """The example did not finish in time."""


@dataclass(frozen=True)
class Execution:
    """One execution of the example."""

    name: str
    project: str
    domain: str
    namespace: str
    """Task namespace, where its pods are."""
    url: str
    """Address in Flyte's console."""


def start(execution: Execution, environment: Mapping[str, str], timeout: float) -> None:
    """Register the example, and start the execution.

    Args:
        execution: the execution.
        environment: environment with Flyte's client configuration.
        timeout: seconds to wait.

    Raises:
        ExampleError: Flyte's client is not installed, or failed, or did not end in time.
    """
    where = ["--project", execution.project, "--domain", execution.domain, "--name", execution.name]
    command = [pyflyte("smoke"), "run", "--remote", *where, *WORKFLOW]
    try:
        done = subprocess.run(
            command,
            cwd=example_workflow.EXAMPLE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        raise ExampleError(f"{command[0]}: {error.strerror}; make smoke installs it") from None
    except subprocess.TimeoutExpired:
        raise ExampleError(f"the example could not be registered within {timeout:.0f} s") from None
    if done.returncode:
        raise ExampleError(f"the example could not be started:\n{_tail(done.stdout + done.stderr)}")


def follow(execution: Execution, environment: Mapping[str, str], timeout: float, progress: Progress) -> dict[str, Any]:
    """Show the progress of an execution until it ends; return the last line of `ops.lib.follow`.

    Args:
        execution: the execution.
        environment: environment with Flyte's client configuration.
        timeout: seconds to wait.
        progress: receives every change of a node.

    Raises:
        LateError: the execution did not end in time.
        ExampleError: the execution cannot be followed.
    """
    python = example_workflow.EXAMPLE / ".venv" / "bin" / "python"
    command = [str(python), str(_FOLLOW), execution.project, execution.domain, execution.name]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as follower,
    ):
        timer = threading.Timer(timeout, follower.terminate)
        timer.start()
        redrawing = Redrawing(progress)
        try:
            end: dict[str, Any] = {}
            for text in follower.stdout or ():
                line = json.loads(text)
                with redrawing.lock:
                    if "id" in line:
                        progress.update(line)
                    else:
                        end = line
            follower.wait()
        finally:
            late = not timer.is_alive()
            timer.cancel()
            redrawing.end()
            follower.terminate()
        if end:
            return end
        if late:
            raise LateError(f"the workflow did not finish within {timeout:.0f} s; see {execution.url}")
        errors.seek(0)
        raise ExampleError(f"the workflow cannot be followed; see {execution.url}\n{_tail(errors.read())}")


def failure(execution: Execution, end: Mapping[str, Any], failed: Collection[str], cluster: Cluster) -> str:
    """Explain why an execution failed: Flyte's message, and the end of the log of each failed node's newest pod.

    Args:
        execution: the execution.
        end: last line of `ops.lib.follow`.
        failed: ids of the failed nodes.
        cluster: cluster with the pods.
    """
    parts = [f"the workflow has {end['phase'].lower().replace('_', ' ')}; {execution.url}", end["error"].strip()]
    answer = cluster.run(
        "get",
        "pods",
        f"--namespace={execution.namespace}",
        f"--selector=execution-id={execution.name}",
        "--output=json",
    )
    pods = json.loads(answer.stdout)["items"] if answer.returncode == 0 else []
    # By node, not by the pod's phase: a pod succeeds if it reports the failure of its Python task.
    newest: dict[str, str] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"])):
        node = pod["metadata"]["labels"].get("node-id", "")
        # The id of a node in a subworkflow begins with the id of the node that runs the subworkflow.
        if any(node == name or node.startswith(f"{name}-") for name in failed):
            newest[node] = pod["metadata"]["name"]
    for pod in newest.values():
        log = cluster.run("logs", pod, f"--namespace={execution.namespace}", f"--tail={_LOG_LINES}")
        parts += [f"--- the end of the log of {pod}", (log.stdout or log.stderr).strip(), "--- the whole log:"]
        parts.append(cluster.shown("logs", pod, "--namespace", execution.namespace))
    return "\n".join(filter(None, parts))


def warnings(execution: Execution, cluster: Cluster) -> list[str]:
    """Return the two newest warnings about the pods of an execution, which show why it does not proceed."""
    answer = cluster.run(
        "get", "events", f"--namespace={execution.namespace}", "--field-selector=type=Warning", "--output=json"
    )
    events = json.loads(answer.stdout)["items"] if answer.returncode == 0 else []
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [
        f"{event['involvedObject']['name']}: {event['reason']}: {one_line(event['message'])}"
        for event in events
        if event["involvedObject"]["name"].startswith(f"{execution.name}-")
    ][-2:]


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_LOG_LINES:])

"""The pods of tasks that run although Flyte is stopped."""

import time
from collections.abc import Callable

from ops.lib.kubectl import documents
from ops.lib.volumes import Stack
from ops.lib.watch import PATIENCE
from ops.lib.workloads import Object
from settings.errors import SettingsError

_PERIOD, _AGAIN = 2.0, 30.0


def task_pods(stack: Stack) -> list[str]:
    """Return the pods of tasks that have not ended, as NAMESPACE/NAME.

    Raises:
        SettingsError: the cluster does not answer.
    """
    found: list[Object] = []
    for namespace in dict.fromkeys(scope.namespace for scope in stack.settings.task_scopes):
        found += documents(stack.cluster.ask("get", "pods", f"--namespace={namespace}", "--output=json"))
    return [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in found
        if pod["status"].get("phase") not in {"Succeeded", "Failed"}
    ]


def await_task_pods(
    stack: Stack, say: Callable[[str], None], patience: float = PATIENCE, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Wait until no pod of a task runs any more. Flyte is stopped, so that it starts no others.

    Args:
        stack: the stack.
        say: prints a line.
        patience: seconds after which it gives up.
        sleep: waits so many seconds.

    Raises:
        SettingsError: some still run.
    """
    begin = said = time.monotonic()
    shown: list[str] = []
    while running := task_pods(stack):
        now = time.monotonic()
        if now - begin > patience:
            raise SettingsError(
                f"{len(running)} pods of tasks have not ended within {patience / 60:.0f} minutes, such as "
                f"{running[0]}; wait for them, or abort their executions, and run the command again"
            )
        if running != shown or now - said > _AGAIN:
            say(f"waiting for {len(running)} pods of tasks, which may still write, such as {running[0]}")
            shown, said = running, now
        sleep(_PERIOD)

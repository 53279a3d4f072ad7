"""What a destroy waits for, printed while Pulumi runs, and what would otherwise keep it from ending."""

import json
import sys
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TextIO

from components.flyte.names import RELEASE, WORKFLOWS
from ops.lib.kubectl import Cluster
from ops.lib.text import one_line
from ops.lib.watch import repeating

_GIVE_UP = 15.0
"""Seconds for which Flyte may be away before its workflows are given up."""


@dataclass
class Destruction:
    """Prints what is still being deleted, and gives up the workflows of a Flyte that does not run.

    Flyte removes the finalizers of its workflows. If it does not run any more, their deletion would never end, nor that
    of their namespaces.
    """

    cluster: Cluster
    namespace: str
    """Platform namespace of the stack."""
    namespaces: Collection[str]
    """All namespaces of the stack."""
    out: TextIO = sys.stdout
    _shown: str = ""
    _stuck_since: float = 0

    def during(self, _interrupt: Callable[[], None]) -> AbstractContextManager[None]:
        """Print until the end of the context."""
        return repeating(lambda: self.look(time.monotonic()))

    def look(self, now: float) -> None:
        """Print what has changed since the last look, and give up workflows if it is time.

        Args:
            now: seconds of a clock that never goes back.

        Raises:
            SettingsError: the cluster does not answer.
        """
        ending = namespaces_ending(self.cluster, self.namespaces)
        if ending and ending != self._shown:
            self._print(f"waiting until it is deleted: {ending}")
        self._shown = ending
        if not self._workflows_are_stuck():
            self._stuck_since = 0
        elif not self._stuck_since:
            self._stuck_since = now
        elif now - self._stuck_since >= _GIVE_UP:
            self._give_up_workflows()

    def _workflows_are_stuck(self) -> bool:
        definition = self.cluster.ask(
            "get", "customresourcedefinition", WORKFLOWS, "--ignore-not-found", "--output=json"
        )
        if not definition.strip() or "deletionTimestamp" not in json.loads(definition)["metadata"]:
            return False
        flyte = self.cluster.ask(
            "get", "deployment", RELEASE, f"--namespace={self.namespace}", "--ignore-not-found", "--output=json"
        )
        return not flyte.strip() or not json.loads(flyte)["status"].get("readyReplicas")

    def _give_up_workflows(self) -> None:
        for workflow in json.loads(self.cluster.ask("get", WORKFLOWS, "--all-namespaces", "--output=json"))["items"]:
            metadata: dict[str, Any] = workflow["metadata"]
            if metadata.get("finalizers"):
                where = f"--namespace={metadata['namespace']}"
                self._print(f"Flyte does not run; giving up its workflow {metadata['name']} in {metadata['namespace']}")
                patch = '--patch={"metadata": {"finalizers": null}}'
                self.cluster.run("patch", WORKFLOWS, metadata["name"], where, "--type=merge", patch)

    def _print(self, line: str) -> None:
        print(line, file=self.out, flush=True)


def namespaces_ending(cluster: Cluster, namespaces: Collection[str]) -> str:
    """Return which of the namespaces are being deleted, and what each still has; empty if none is.

    Raises:
        SettingsError: the cluster does not answer.
    """
    found = []
    for one in json.loads(cluster.ask("get", "namespaces", "--output=json"))["items"]:
        if one["metadata"]["name"] in namespaces and one["metadata"].get("deletionTimestamp"):
            remains = [
                one_line(condition["message"])
                for condition in one["status"].get("conditions", [])
                if condition["status"] == "True" and "Remain" in condition["type"]
            ]
            found.append(": ".join([f"namespace/{one['metadata']['name']}", *remains]))
    return "; ".join(found)

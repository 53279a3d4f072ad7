"""The cluster of a stack, reached through kubectl."""

import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.cluster.kubeconfig import find_kubeconfig
from ops.tools import provide
from settings.errors import SettingsError

# Seconds to wait for an answer.
_PATIENCE = 20
# Exit code of timeout(1).
_TIMED_OUT = 124


@dataclass(frozen=True)
class Cluster:
    """A context of a kubeconfig."""

    context: str
    kubeconfig: str
    """Path of the kubeconfig that has the context."""

    @classmethod
    def of(cls, context: str, configured: str = "", environment: Mapping[str, str] = os.environ) -> "Cluster":
        """Return the cluster behind ``context``, in the kubeconfig that has it (see `find_kubeconfig`).

        Raises:
            SettingsError: no kubeconfig has the context, or there is no kubectl and none can be downloaded.
        """
        provide("kubectl")
        return cls(context, str(Path(find_kubeconfig(context, configured, environment)).expanduser()))

    def command(self, *arguments: str) -> list[str]:
        """Return the kubectl command with these arguments."""
        return ["kubectl", "--kubeconfig", self.kubeconfig, "--context", self.context, *arguments]

    def shown(self, *arguments: str) -> str:
        """Return the kubectl command with these arguments, quoted for a shell."""
        return shlex.join(self.command(*arguments))

    def run(self, *arguments: str, given: str = "", seconds: float = _PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run kubectl with ``given`` on its standard input; it counts as failed after ``seconds``."""
        # The arguments after a "--" are for another program.
        end = arguments.index("--") if "--" in arguments else len(arguments)
        command = self.command(*arguments[:end], f"--request-timeout={seconds:.0f}s", *arguments[end:])
        try:
            # A little longer than kubectl's own limit, which has the better message.
            return subprocess.run(
                command, input=given, capture_output=True, text=True, timeout=seconds + 2, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, _TIMED_OUT, "", f"no answer within {seconds:.0f} s")

    def ask(self, *arguments: str) -> str:
        """Run kubectl and return its output.

        Raises:
            SettingsError: kubectl failed; most likely the cluster does not answer.
        """
        answer = self.run(*arguments)
        if answer.returncode:
            raise SettingsError(
                f"kubernetes:context: the cluster of {self.context!r} does not answer: {answer.stderr.strip()}"
            )
        return answer.stdout

    def uid(self) -> str:
        """Return the identity of the cluster: the UID of its namespace kube-system."""
        return self.ask("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")

    def check_is(self, pinned: str, stack: str) -> str:
        """Check that this is the cluster to which ``stack`` is pinned; return its UID.

        Raises:
            SettingsError: it is another cluster, the stack is not pinned, or the cluster does not answer.
        """
        uid = self.uid()
        if uid != pinned:
            raise SettingsError(
                f"flyte-home:clusterUid: stack {stack!r} belongs to the cluster {pinned or '(none yet)'}, "
                f"but {self.context!r} leads to {uid}; choose the right context, or run make up STACK={stack} first"
            )
        return uid


def documents(text: str) -> list[dict[str, Any]]:
    """Return the objects of kubectl's JSON output: one, several one after the other, or a list of them."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        content, end = decoder.raw_decode(rest)
        found += content.get("items", [content])
        rest = rest[end:].strip()
    return found

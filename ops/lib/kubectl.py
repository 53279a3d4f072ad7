"""The cluster of a stack, asked through kubectl."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.cluster.kubeconfig import find_kubeconfig
from ops.tools import provide
from settings.errors import SettingsError

# Seconds for one answer.
_PATIENCE = 20
# As timeout(1) has it.
_TIMED_OUT = 124


@dataclass(frozen=True)
class Cluster:
    """A context of a kubeconfig."""

    context: str
    kubeconfig: str

    @classmethod
    def of(cls, context: str, configured: str = "", environment: Mapping[str, str] = os.environ) -> "Cluster":
        """The cluster behind ``context``, in the kubeconfig that has it (see `find_kubeconfig`).

        Raises:
            SettingsError: no kubeconfig has it, or there is no kubectl and none can be fetched.
        """
        provide("kubectl")
        return cls(context, str(Path(find_kubeconfig(context, configured, environment)).expanduser()))

    def command(self, *arguments: str) -> list[str]:
        """The kubectl command with these arguments."""
        return ["kubectl", "--kubeconfig", self.kubeconfig, "--context", self.context, *arguments]

    def shown(self, *arguments: str) -> str:
        """The kubectl command with these arguments, to be copied into a shell."""
        return shlex.join(self.command(*arguments))

    def run(self, *arguments: str, given: str = "", seconds: float = _PATIENCE) -> subprocess.CompletedProcess[str]:
        """What kubectl does with ``given`` on its standard input; failed, if it takes longer than ``seconds``."""
        # What comes after a "--" is for another program.
        end = arguments.index("--") if "--" in arguments else len(arguments)
        command = self.command(*arguments[:end], f"--request-timeout={seconds:.0f}s", *arguments[end:])
        try:
            # A little later than kubectl's own limit, whose message says more.
            return subprocess.run(
                command, input=given, capture_output=True, text=True, timeout=seconds + 2, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, _TIMED_OUT, "", f"no answer within {seconds:.0f} s")

    def ask(self, *arguments: str) -> str:
        """What kubectl prints.

        Raises:
            SettingsError: it failed; most likely the cluster does not answer.
        """
        answer = self.run(*arguments)
        if answer.returncode:
            raise SettingsError(
                f"kubernetes:context: the cluster of {self.context!r} does not answer: {answer.stderr.strip()}"
            )
        return answer.stdout

    def uid(self) -> str:
        """What identifies the cluster: the UID of its namespace kube-system."""
        return self.ask("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")

    def check_is(self, pinned: str, stack: str) -> str:
        """See that it is the cluster that ``stack`` pins; its UID.

        Raises:
            SettingsError: it is another one, or the stack names none; or it does not answer.
        """
        uid = self.uid()
        if uid != pinned:
            raise SettingsError(
                f"flyte-home:clusterUid: stack {stack!r} belongs to the cluster {pinned or '(none yet)'}, "
                f"but {self.context!r} leads to {uid}; choose the right context, or make up STACK={stack} first"
            )
        return uid

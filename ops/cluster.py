"""The cluster of a stack, asked through kubectl."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.cluster_fence import find_kubeconfig
from components.errors import SettingsError

_TIMEOUT = "--request-timeout=20s"


@dataclass(frozen=True)
class Cluster:
    """A context of a kubeconfig."""

    context: str
    kubeconfig: str

    @classmethod
    def of(cls, context: str, configured: str = "", environment: Mapping[str, str] = os.environ) -> "Cluster":
        """The cluster behind ``context``, in the kubeconfig that has it (see `find_kubeconfig`).

        Raises:
            SettingsError: no kubeconfig has it, or there is no kubectl.
        """
        need("kubectl", "https://kubernetes.io/docs/tasks/tools/")
        return cls(context, str(Path(find_kubeconfig(context, configured, environment)).expanduser()))

    def command(self, *arguments: str) -> list[str]:
        """The kubectl command with these arguments."""
        return ["kubectl", "--kubeconfig", self.kubeconfig, "--context", self.context, *arguments]

    def ask(self, *arguments: str) -> str:
        """What kubectl prints.

        Raises:
            SettingsError: it failed; most likely the cluster does not answer.
        """
        answer = subprocess.run(self.command(*arguments, _TIMEOUT), capture_output=True, text=True, check=False)
        if answer.returncode:
            raise SettingsError(
                f"kubernetes:context: the cluster of {self.context!r} does not answer: {answer.stderr.strip()}"
            )
        return answer.stdout

    def uid(self) -> str:
        """What identifies the cluster: the UID of its namespace kube-system."""
        return self.ask("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")


def need(tool: str, where: str) -> None:
    """Refuse to go on without ``tool``.

    Raises:
        SettingsError: it is not on the PATH; the message says ``where`` to get it.
    """
    if not shutil.which(tool):
        raise SettingsError(f"{tool} is not on the PATH; install it from {where}. make render works without it")

"""The steps of a long command, as they are shown, and the last one of an upgrade, which checks the result."""

import subprocess
import sys
import time
from dataclasses import dataclass, field

from ops.lib.volumes import Stack
from paths import ROOT
from settings.errors import SettingsError


@dataclass
class Steps:
    """The progress: one line when a step begins, and the time at the end."""

    total: int
    command: str = "upgrade"
    """Name of the make target."""
    _done: int = 0
    _begin: float = field(default_factory=time.monotonic)

    def next(self, what: str) -> None:
        """Print what begins."""
        self._done += 1
        print(f"{self.command} {self._done}/{self.total}  {what}", flush=True)

    @staticmethod
    def say(what: str) -> None:
        """Print a result within a step."""
        print(f"{'':<12} {what}", flush=True)

    def end(self, what: str) -> None:
        """Print that everything is done."""
        print(f"ok      {what}, in {time.monotonic() - self._begin:.0f} s", flush=True)


def smoke(stack: Stack) -> None:
    """Run the doctor and the example workflow.

    Raises:
        SettingsError: the stack does not work.
    """
    command = [sys.executable, "-m", "ops.smoke", stack.name]
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode:
        raise SettingsError(
            "everything is deployed, but does not work. Correct it as said above and run the command again, or go "
            f"back: {back_command(stack)}"
        )


def back_command(stack: Stack) -> str:
    """Return the command that goes back to what was deployed before."""
    return f"make upgrade BACK=yes STACK={stack.name}"

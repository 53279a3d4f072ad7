"""Commands with the time they take, and progress while they run."""

import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from settings.errors import SettingsError

_LAST = 3000


@dataclass(frozen=True)
class Run:
    """A command that has ended."""

    wall: float
    """Seconds that it took."""
    cpu: float
    """Seconds of CPU time of the command and all processes it has started and waited for, user and system."""
    output: str
    """Its standard output."""


def timed(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Run:
    """Run a command and measure it.

    Raises:
        SettingsError: it failed; the message has the end of its output.
    """
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SettingsError(f"{' '.join(command)}:\n{done.stdout[-_LAST:]}{done.stderr[-_LAST:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, used, done.stdout)


def say(text: str) -> None:
    """Show progress, apart from the tables."""
    print(f"bench   {text}", file=sys.stderr, flush=True)

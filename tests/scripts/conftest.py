"""Shared by the tests of all scripts: run a script with a PATH that records every call."""

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.processes import Workspace, process

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


class Programs:
    """A folder that is the whole PATH of a script, which finds only the programs in it. Every call is recorded.

    In the process list, a short-lived process would be easy to miss.
    """

    def __init__(self, work: Workspace, programs: Mapping[str, Path | str]) -> None:
        self.path = work.folder("programs")
        self._record = work.file("calls", "")
        for name, program in programs.items():
            work.file(
                f"programs/{name}",
                "#!/bin/sh\n"
                f"printf '%s\\n' \"{name} $*\" >>{shlex.quote(str(self._record))}\n"
                f'exec {shlex.quote(str(program))} "$@"\n',
                mode=0o700,
            )

    @property
    def calls(self) -> str:
        """Names and arguments of all programs started so far, one call per line."""
        return self._record.read_text()

    def count(self, call: str) -> int:
        """Number of calls of a program that begin with these arguments."""
        return sum(line.startswith(call) for line in self.calls.splitlines())


def tools(*names: str) -> dict[str, str]:
    """The programs of the system with these names."""
    return {name: found for name in names if (found := shutil.which(name))}


def run_script(
    script: str, env: Mapping[str, str], work: Workspace, timeout: float = 30
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end. As in a pod, the shell runs it, so the mode of the file does not matter."""
    with start_script(script, env, work) as process:
        output, errors = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


@contextmanager
def start_script(script: str, env: Mapping[str, str], work: Workspace) -> Iterator[subprocess.Popen[str]]:
    """Run a script in the background; it is killed when the context ends."""
    with process(["/bin/sh", str(SCRIPTS / script)], env, work, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        yield run

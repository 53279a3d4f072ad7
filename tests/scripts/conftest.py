"""What the tests of all scripts need: running one, with a PATH that remembers."""

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.processes import Workspace, process

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


class Programs:
    """A folder to be the whole PATH of a script: only the programs in it are found, and every call is written down.

    The record replaces looking at the process list, where a short process is easily missed.
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
        """Names and arguments of all programs started so far, one call a line."""
        return self._record.read_text()

    def count(self, call: str) -> int:
        """How often a program was called with these arguments, and possibly more."""
        return sum(line.startswith(call) for line in self.calls.splitlines())


def tools(*names: str) -> dict[str, str]:
    """The system's own programs of these names."""
    return {name: found for name in names if (found := shutil.which(name))}


def run_script(
    script: str, env: Mapping[str, str], work: Workspace, timeout: float = 30
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, as a pod does: by the shell, whatever the file's mode."""
    with start_script(script, env, work) as process:
        output, errors = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


@contextmanager
def start_script(script: str, env: Mapping[str, str], work: Workspace) -> Iterator[subprocess.Popen[str]]:
    """Run a script in the background; it is gone when the context ends."""
    with process(["/bin/sh", str(SCRIPTS / script)], env, work, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        yield run

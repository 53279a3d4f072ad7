"""Another commit of this repository, checked out beside the clone, and its `make up`."""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ops.tools import BIN
from paths import ROOT
from settings.errors import SettingsError

# Variables with which a make passes its own options on.
_MAKES_OWN = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL")


@contextmanager
def worktree(root: Path, commit: str, setting: str) -> Iterator[Path]:
    """Check a commit out into a temporary folder.

    Args:
        root: the clone.
        commit: the commit, or a tag.
        setting: what named the commit, for the message.

    Raises:
        SettingsError: there is no such commit.
    """
    with tempfile.TemporaryDirectory(prefix="flyte-home-") as temporary:
        folder = Path(temporary) / "release"
        command = ["git", "worktree", "add", "--detach", str(folder), commit]
        added = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if added.returncode:
            raise SettingsError(f"{setting}: git cannot check out {commit!r}: {added.stderr.strip().splitlines()[-1]}")
        try:
            yield folder
        finally:
            remove = ["git", "worktree", "remove", "--force", str(folder)]
            subprocess.run(remove, cwd=root, capture_output=True, check=False)


def make_up(folder: Path, stack: str, environment: Mapping[str, str]) -> int:
    """Run `make up` of a worktree with the state of this clone; return its exit code."""
    clean = {name: value for name, value in environment.items() if name not in _MAKES_OWN}
    # One folder for the downloads of both, and one place for the state.
    command = ["make", "up", f"STACK={stack}"]
    return subprocess.run(command, cwd=folder, env=clean | {"FLYTE_HOME_BIN": str(BIN)}, check=False).returncode


def deploy_commit(stack: str, commit: str, environment: Mapping[str, str], root: Path = ROOT) -> int:
    """Run `make up` of an earlier commit, with the stack file of this clone; return its exit code.

    What was changed in the stack file since it was committed here is applied to the stack file of that commit: the pin,
    and whatever else is not committed.

    Raises:
        SettingsError: there is no such commit, or the changes do not fit its stack file.
    """
    file = f"Pulumi.{stack}.yaml"
    with worktree(root, commit, "BACK") as folder:
        committed = subprocess.run(["git", "show", f"HEAD:{file}"], cwd=root, capture_output=True, check=False)
        if committed.returncode or not (folder / file).is_file():
            (folder / file).write_bytes((root / file).read_bytes())
        else:
            base = folder.with_name("base.yaml")
            base.write_bytes(committed.stdout)
            merge = ["git", "merge-file", str(folder / file), str(base), str(root / file)]
            if subprocess.run(merge, capture_output=True, check=False).returncode:
                raise SettingsError(
                    f"{file}: what was changed in it does not fit the version of {commit[:12]}, which was deployed "
                    "before; it was not deployed. Commit the file, or undo the changes, and run the command again"
                )
        return make_up(folder, stack, environment)

"""Installs a program from the package index that pip uses, with the hashes of its lock file."""

import shutil
import subprocess
import sys
from pathlib import Path

from ops.tools.download import alone
from settings.errors import SettingsError


def install_package(name: str, version: str, home: str, lock: Path, place: Path, folder: Path) -> Path:
    """Put the programs of a package into ``folder``; do nothing if the folder exists.

    The folder is complete or does not exist, like the folder of a download. Only a package with a built program for
    this platform is installed: to build one, pip would run code of the package, which needs a compiler.

    Args:
        name: name of the package and of its program.
        version: version that the lock file pins.
        home: page with the publisher's instructions for an installation by hand.
        lock: lock file with the hashes of the package.
        place: folder of all downloads.
        folder: target below ``place``.

    Returns:
        ``folder``.

    Raises:
        SettingsError: pip failed, or the folder is not writable.
    """
    try:
        if folder.is_dir():
            return folder
        with alone(place, f"{name} {version}") as workplace:
            if not folder.is_dir():
                content = workplace / "content"
                print(f"{name} {version}: installing it from the package index of pip", file=sys.stderr, flush=True)
                pip = [
                    sys.executable,
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-cache-dir",
                ]
                exactly = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", str(lock)]
                command = [*pip, *exactly, "--target", str(content)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode or not shutil.which(name, path=str(content / "bin")):
                    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
                    reason = lines[-1] if lines else "it has no program"
                    raise SettingsError(
                        f"{name} {version}: pip cannot install it: {reason}. Check the package index (PIP_INDEX_URL), "
                        f"or install it from {home}"
                    )
                folder.parent.mkdir(parents=True, exist_ok=True)
                (content / "bin").rename(folder)
    except OSError as error:
        raise SettingsError(
            f"{name} {version} cannot be stored in {place}: {error.strerror or error}; make it writable, or install it "
            f"from {home}. No file was left there"
        ) from None
    return folder

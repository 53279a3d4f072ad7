"""The check of this machine: whether the programs are installed, in versions that fit the repository."""

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ops.doctor.check import Result, ok, remark, wrong
from ops.lib.example_workflow import EXAMPLE
from paths import ROOT
from settings.errors import SettingsError

INSTALL = {
    "kubectl": "https://kubernetes.io/docs/tasks/tools/",
    "pulumi": "https://www.pulumi.com/docs/install/",
}
"""Pages that explain how to install a program."""


def check_programs(example: Path = EXAMPLE) -> Iterator[Result]:
    """Check that the programs are installed, in versions that fit the pins of this repository.

    Args:
        example: folder of the example, whose environment has Flyte's client.
    """
    project = (ROOT / "pyproject.toml").read_text()
    asked = {
        "kubectl": ["kubectl", "version", "--client", "--output=json"],
        "pulumi": ["pulumi", "version"],
        "flytekit": [
            str(example / ".venv/bin/python"),
            "-c",
            "from importlib.metadata import version; print(version('flytekit'))",
        ],
    }
    with ThreadPoolExecutor(len(asked)) as pool:
        printed = dict(zip(asked, pool.map(_output, asked.values()), strict=True))
    needed = {
        "pulumi": _pinned("pulumi", project),
        "flytekit": _pinned("flytekit", (example / "requirements.txt").read_text()),
    }
    # kubectl has no minimum version: it must fit the server, see `check_context`.
    found = {"python": platform.python_version(), **{name: _version(text) for name, text in printed.items()}}
    fine = True
    for name, where in INSTALL.items():
        if not found[name]:
            fine = False
            yield wrong(
                f"{name} is not on the PATH" if not shutil.which(name) else f"{name} does not print its version",
                f"# install it from {where}",
            )
    if not found["flytekit"]:
        fine = False
        yield remark(f"Flyte's client {needed['flytekit']} is not installed; make smoke installs it", "make smoke")
    elif found["flytekit"] != needed["flytekit"]:
        fine = False
        yield remark(
            f"Flyte's client is flytekit {found['flytekit']}; this repository is tested with {needed['flytekit']}",
            f"rm -r {example}/.venv  # make smoke installs it again",
        )
    if found["pulumi"] and _numbers(found["pulumi"]) < _numbers(needed["pulumi"]):
        fine = False
        yield remark(
            f"pulumi {found['pulumi']} is older than the library, {needed['pulumi']}", f"# install {INSTALL['pulumi']}"
        )
    if fine:
        yield ok(", ".join(f"{name} {version}" for name, version in found.items()))


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=15, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _version(text: str) -> str:
    """Return the first version number in ``text``; empty if there is none."""
    match = re.search(r"v?(\d+\.\d+(?:\.\d+)?[\w.+-]*)", text)
    return match[1] if match else ""


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def _pinned(package: str, text: str) -> str:
    match = re.search(rf"(?m)^\W*{package}==([\w.]+)", text)
    if not match:
        raise SettingsError(f"{package}: no version is pinned")
    return match[1]

"""Commands that create or start a cluster, and the question to the person at the terminal."""

import os
import subprocess
import sys
from collections.abc import Mapping

from settings.errors import SettingsError

NAME = "flyte-home-dev"
"""Name of the cluster."""
_SECONDS = 60


def run(command: list[str], more: Mapping[str, str] | None = None) -> None:
    """Run the command on the user's terminal.

    Args:
        command: the program and its arguments.
        more: variables to add to the environment.

    Raises:
        SettingsError: the program is missing or failed.
    """
    try:
        failed = subprocess.run(command, env=os.environ | dict(more or {}), check=False).returncode
    except FileNotFoundError:
        raise SettingsError(f"{command[0]} is not on the PATH, but the cluster {NAME} was created with it") from None
    if failed:
        raise SettingsError(f"{' '.join(command[:3])} failed, see above")


def answer(command: list[str], more: Mapping[str, str] | None = None) -> str:
    """Return the output of the command; empty if the program is missing, fails or does not end within a minute."""
    environment = os.environ | dict(more or {})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def agrees(question: str) -> bool:
    """Ask the person at the terminal; return False without a terminal and in a CI job."""
    if not sys.stdin.isatty() or os.environ.get("CI"):
        return False
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def as_root() -> list[str]:
    """Return the beginning of a command that has to run as root."""
    return [] if os.geteuid() == 0 else ["sudo"]

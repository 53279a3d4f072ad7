"""Pulumi's command line: its environment, the place of its state, and the commands that are started here."""

import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from ops.tools import provide_pulumi
from paths import ROOT
from settings.errors import SettingsError

STATE = ROOT / ".state"
"""Folder of the state and its passphrase, for users who chose no other backend."""
REFRESH = ("--refresh", "--run-program")
"""Options that read the cluster first, so that deleted objects are recreated and changed ones restored.

That runs the program, and so its fence. Otherwise Pulumi would accept any cluster behind the context.
"""


def engine_environment() -> dict[str, str]:
    """Return the environment for Pulumi: the current one, with a place for the state.

    Raises:
        SettingsError: there is no Pulumi, and it cannot be downloaded.
    """
    environment = bare_environment()
    return environment | backend(environment, logged_in=_logged_in(environment))


def bare_environment() -> dict[str, str]:
    """Return the environment for Pulumi without a place for the state, unless the user has chosen one.

    Raises:
        SettingsError: there is no Pulumi, and it cannot be downloaded.
    """
    pulumi = provide_pulumi()  # first, because it may change the PATH
    return os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"} | pulumi


def has_backend(environment: Mapping[str, str]) -> bool:
    """Return whether the user has chosen a place for the state, in the environment or by a login."""
    return bool(environment.get("PULUMI_BACKEND_URL")) or _logged_in(environment)


def backend(environment: Mapping[str, str], logged_in: bool, state: Path = STATE) -> dict[str, str]:
    """Return the variables that give Pulumi a place for its state.

    There are none if the user has chosen a backend in the environment, or is logged in. Otherwise the state is in a
    folder of this project, encrypted with a generated passphrase that only its owner can read.
    """
    if logged_in or environment.get("PULUMI_BACKEND_URL"):
        return {}
    state.mkdir(mode=0o700, exist_ok=True)
    chosen = {"PULUMI_BACKEND_URL": f"file://{state}"}
    if not environment.get("PULUMI_CONFIG_PASSPHRASE") and not environment.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        passphrase = state / "passphrase"
        if not passphrase.exists():
            descriptor = os.open(passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
        chosen["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase)
    print(f"State and passphrase are in {state}; back them up. For plain pulumi commands:")
    print("  export " + " ".join(f"{key}={value}" for key, value in chosen.items()))
    return chosen


def run(
    environment: Mapping[str, str],
    stack: str,
    *command: str,
    meanwhile: Callable[[Callable[[], None]], AbstractContextManager[None]] | None = None,
) -> int:
    """Run a Pulumi command on the user's terminal; return its exit code.

    Args:
        environment: environment of the command.
        stack: name of the stack.
        command: the command and its arguments.
        meanwhile: context to be in while it runs; gets a function that interrupts the command in an orderly way.
    """
    # Ctrl-C reaches Pulumi directly, which then stops in an orderly way. This process only waits for that.
    with (
        subprocess.Popen(["pulumi", *command, "--stack", stack], env=environment, cwd=ROOT) as process,
        meanwhile(partial(process.send_signal, signal.SIGINT)) if meanwhile else nullcontext(),
    ):
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def _logged_in(environment: Mapping[str, str]) -> bool:
    command = ["pulumi", "whoami", "--non-interactive"]
    return subprocess.run(command, env=environment, capture_output=True, cwd=ROOT, check=False).returncode == 0


def pulumi(environment: Mapping[str, str], *arguments: str, text: str | None = None) -> str:
    """Run a Pulumi command without a terminal, and return its output.

    Args:
        environment: environment of the command.
        arguments: the command and its arguments.
        text: its standard input.

    Raises:
        SettingsError: it failed.
    """
    result = subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        env=environment,
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SettingsError(f"pulumi {' '.join(arguments[:2])}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def set_config(environment: Mapping[str, str], stack: str, key: str, value: str, secret: bool = False) -> None:
    """Write a setting into the stack file; encrypted if it is a ``secret``.

    Raises:
        SettingsError: Pulumi failed.
    """
    # Through standard input: every user of the machine can read arguments.
    pulumi(environment, "config", "set", "--stack", stack, key, *(["--secret"] if secret else []), text=value)

"""The local ports of a stack's port-forwards: which process holds them, and whether they are free."""

import fcntl
import json
import os
import platform
import shlex
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ops.lib.client_endpoints import ClientEndpoint
from paths import ROOT
from settings import PROJECT

FOLDER = ROOT / ".client"
"""Folder of the client configurations, the locks and the records; private, because they show what is open."""


class ForwardError(Exception):
    """An endpoint is not open; ``says`` gives the reason, and ``remedy`` is a command that helps, or empty."""

    def __init__(self, says: str, remedy: str = "") -> None:
        self.says, self.remedy = says, remedy
        super().__init__(f"{says}\n{remedy}".rstrip())


@dataclass(frozen=True)
class Holder:
    """A process that keeps the endpoints of a stack open."""

    command: str
    """Command that a person started, such as ``make connect``."""
    pid: int
    stack: str
    cluster: str
    """UID of the cluster behind the endpoints."""
    ports: Sequence[int]
    forwards: dict[str, int] = field(default_factory=dict)
    """Process ids of the kubectl processes, by name of the Service."""


def holder_of(stack: str, folder: Path = FOLDER) -> Holder | None:
    """Return the process that keeps the endpoints of ``stack`` open now; None if there is none.

    A lock decides, not the port: any other process could listen at the port.
    """
    try:
        with _lock_file(stack, folder).open() as file:
            # Shared, so that two processes that look at the same time do not take each other for the holder.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _record(stack, folder)
    return None


def record_file(stack: str, folder: Path) -> Path:
    """Return the path of the holder's record."""
    return folder / f"{stack}.json"


def _lock_file(stack: str, folder: Path) -> Path:
    return folder / f"{stack}.lock"


def _record(stack: str, folder: Path) -> Holder | None:
    try:
        return Holder(**json.loads(record_file(stack, folder).read_text()))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def locked(stack: str, folder: Path) -> Iterator[None]:
    """Hold the ports of ``stack``; the system releases the lock when this process ends, even if it is killed.

    Raises:
        ForwardError: another process holds them.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    with _lock_file(stack, folder).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _record(stack, folder)
            who = f"{holder.command} (process {holder.pid})" if holder else "another command of this folder"
            raise ForwardError(f"{who} already has the ports of stack {stack} open; end it first") from None
        yield


def end_left_behind(stack: str, folder: Path) -> list[str]:
    """End the port-forwards that a killed process left behind; return the names of their Services."""
    record = _record(stack, folder)
    ended = []
    for service, pid in record.forwards.items() if record else ():
        # By now the id may belong to another process.
        listed = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        if f"port-forward service/{service} " in f"{listed.stdout.strip()} ":
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            ended.append(service)
    return ended


def check_free(stack: str, wanted: Sequence[ClientEndpoint], folder: Path = FOLDER) -> None:
    """Check that no process listens at the ports of a stack's port-forwards.

    Raises:
        ForwardError: some ports are taken; the message names each with its setting, and a command shows the process.
    """
    ports = [endpoint.local_port for endpoint in wanted]
    taken = [taken_port(stack, endpoint, folder) for endpoint in wanted if endpoint.listening]
    for endpoint in wanted:
        if ports.count(endpoint.local_port) > 1:
            taken.append(
                ForwardError(
                    f"{PROJECT}:clientEndpoints.{endpoint.setting}: another endpoint has the port "
                    f"{endpoint.local_port}, too; choose another one"
                )
            )
    if taken:
        raise ForwardError(
            "\n".join(error.says for error in taken), "\n".join(error.remedy for error in taken if error.remedy)
        )


def taken_port(stack: str, endpoint: ClientEndpoint, folder: Path = FOLDER) -> ForwardError:
    """Return the error for a port at which another process listens."""
    stacks = {file.stem for file in folder.glob("*.lock")} - {stack}
    others = [holder_of(other, folder) for other in sorted(stacks)]
    owner = next((found for found in others if found and endpoint.local_port in found.ports), None)
    who = f"{owner.command} (process {owner.pid})" if owner else "something else"
    find = (
        f"lsof -nP -iTCP:{endpoint.local_port} -sTCP:LISTEN"
        if platform.system() == "Darwin"
        else f"ss -ltnp 'sport = :{endpoint.local_port}'"
    )
    setting = f"{PROJECT}:clientEndpoints.{endpoint.setting}"
    other = endpoint.address.replace(f":{endpoint.local_port}", f":{endpoint.local_port + 10000}")
    change = f"pulumi config set --path {setting} {other} --stack {shlex.quote(stack)}"
    return ForwardError(
        f"{setting}: port {endpoint.local_port} of this machine is taken by {who}; end that process, or change the "
        f"setting and run make up STACK={stack}",
        f"{find}    # shows the process\n{change}",
    )

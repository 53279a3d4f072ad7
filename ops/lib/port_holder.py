"""Which process holds the ports of a stack on this machine."""

import fcntl
import json
import os
import platform
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ops.lib.client import private_file
from ops.lib.client_endpoints import ClientEndpoint, ForwardError
from paths import ROOT
from settings import PROJECT

FOLDER = ROOT / ".client"
"""Folder of client configurations and of the records of who holds which ports; only its owner can enter it."""


@dataclass(frozen=True)
class Holder:
    """A process that keeps the service_endpoints of a stack open."""

    # As a person has started it, such as ``make connect``.
    command: str
    pid: int
    stack: str
    # UID of the cluster that they lead to.
    cluster: str
    ports: Sequence[int]
    # By the name of the service: the process of kubectl.
    forwards: dict[str, int] = field(default_factory=dict)


def holder_of(stack: str, folder: Path = FOLDER) -> Holder | None:
    """Who keeps the service_endpoints of ``stack`` open now; None if nobody does.

    A lock tells, and not the port: whoever else listens there is not taken for the stack.
    """
    try:
        with _lock_file(stack, folder).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _record(stack, folder)
    return None


def _lock_file(stack: str, folder: Path) -> Path:
    return folder / f"{stack}.lock"


def _record_file(stack: str, folder: Path) -> Path:
    return folder / f"{stack}.json"


def _record(stack: str, folder: Path) -> Holder | None:
    try:
        return Holder(**json.loads(_record_file(stack, folder).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_record(holder: Holder, forwards: Mapping[str, int], folder: Path) -> None:
    """Record who holds the ports, and which processes forward them (by name of the service)."""
    content = {**asdict(holder), "forwards": dict(forwards)}
    private_file(_record_file(holder.stack, folder), json.dumps(content))


def remove_record(stack: str, folder: Path) -> None:
    """Remove the record of ``stack``, if there is one."""
    _record_file(stack, folder).unlink(missing_ok=True)


@contextmanager
def locked(stack: str, folder: Path) -> Iterator[None]:
    """The ports of ``stack`` are this process's, until it ends, however it does: the system opens the lock then.

    Raises:
        ForwardError: another process has them.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    with _lock_file(stack, folder).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _record(stack, folder)
            who = f"{holder.command} (process {holder.pid})" if holder else "another command of this folder"
            raise ForwardError(f"{who} has the ports of stack {stack} open already; end it first") from None
        yield


def end_left_behind(stack: str, folder: Path) -> list[str]:
    """End the port-forwards of a process that was killed; the services they led to."""
    record = _record(stack, folder)
    ended = []
    for service, pid in record.forwards.items() if record else ():
        # The number may be another process's by now.
        listed = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        if f"port-forward service/{service} " in f"{listed.stdout.strip()} ":
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            ended.append(service)
    return ended


def check_free(stack: str, wanted: Sequence[ClientEndpoint], folder: Path = FOLDER) -> None:
    """See that nobody listens where the port-forwards of a stack would.

    Raises:
        ForwardError: somebody does; for all such ports, the setting and how to find out who it is.
    """
    ports = [endpoint.local_port for endpoint in wanted]
    taken = [taken_port(stack, endpoint, folder) for endpoint in wanted if endpoint.listening]
    for endpoint in wanted:
        if ports.count(endpoint.local_port) > 1:
            taken.append(
                ForwardError(
                    f"{PROJECT}:clientEndpoints.{endpoint.setting}: port {endpoint.local_port} belongs to "
                    "another address as well; choose another"
                )
            )
    if taken:
        raise ForwardError(
            "\n".join(error.says for error in taken), "\n".join(error.mend for error in taken if error.mend)
        )


def taken_port(stack: str, endpoint: ClientEndpoint, folder: Path = FOLDER) -> ForwardError:
    """That somebody else listens where a port-forward would."""
    stacks = {file.stem for file in folder.glob("*.lock")} - {stack}
    others = [holder_of(other, folder) for other in sorted(stacks)]
    owner = next((found for found in others if found and endpoint.local_port in found.ports), None)
    who = f"{owner.command} (process {owner.pid})" if owner else "something else"
    find = (
        f"lsof -nP -iTCP:{endpoint.local_port} -sTCP:LISTEN"
        if platform.system() == "Darwin"
        else f"ss -ltnp 'sport = :{endpoint.local_port}'"
    )
    other = endpoint.address.replace(f":{endpoint.local_port}", f":{endpoint.local_port + 10000}")
    change = (
        f"pulumi config set --path {PROJECT}:clientEndpoints.{endpoint.setting} {other} --stack {shlex.quote(stack)}"
    )
    return ForwardError(
        f"{PROJECT}:clientEndpoints.{endpoint.setting}: port {endpoint.local_port} of this machine is taken by {who}; "
        f"end that, or change the setting and make up STACK={stack}",
        f"{find}    # who it is\n{change}",
    )

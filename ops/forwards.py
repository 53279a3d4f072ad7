"""The port-forwards of a stack: whose the ports are, opening them, and keeping them open."""

import fcntl
import json
import os
import platform
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from components.network.outputs import LOOPBACK_HOSTS, service_endpoints
from ops.client import Client, private_file
from ops.cluster import Cluster
from paths import ROOT
from settings import PROJECT
from settings.values import split_address

# Client configurations, and who holds which ports; not for others, because they say what is open.
FOLDER = ROOT / ".client"
_START_SECONDS = 20
_STOP_SECONDS = 5


class ForwardError(Exception):
    """A way is not open; ``says`` why, and ``mend`` is a command, or empty."""

    def __init__(self, says: str, mend: str = "") -> None:
        self.says, self.mend = says, mend
        super().__init__(f"{says}\n{mend}".rstrip())


@dataclass(frozen=True)
class Way:
    """A service in the cluster, and where on this machine a client expects it."""

    # The setting with the address: http, grpc or objectStore.
    setting: str
    address: str
    service: str
    port: int

    @property
    def forwarded(self) -> bool:
        """Whether the address leads to a port-forward, and not to an ingress or the like.

        The services speak no TLS, so a server with TLS on this machine is something else in front of them.
        """
        parts = split_address(self.address)
        return parts.hostname in LOOPBACK_HOSTS and parts.scheme != "https"

    @property
    def host(self) -> str:
        """Where the port-forward listens: on this machine only."""
        return "::1" if split_address(self.address).hostname == "::1" else "127.0.0.1"

    @property
    def local_port(self) -> int:
        """The port of the address."""
        return split_address(self.address).port or 80

    @property
    def listening(self) -> bool:
        """Whether somebody listens there, whoever it is."""
        with socket.socket(socket.AF_INET6 if self.host == "::1" else socket.AF_INET) as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.host, self.local_port)) == 0


def ways_of(client: Client) -> list[Way]:
    """The service_endpoints to the services of a stack, as its client has their addresses."""
    services = service_endpoints(client)
    return [
        Way(setting, address, service, port)
        for setting, (service, port, address) in zip(("http", "grpc", "objectStore"), services, strict=True)
    ]


# --- whose the ports are ------------------------------------------------------------------------------------------


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


@contextmanager
def _locked(stack: str, folder: Path) -> Iterator[None]:
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


def _end_left_behind(stack: str, folder: Path) -> list[str]:
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


def check_free(stack: str, wanted: Sequence[Way], folder: Path = FOLDER) -> None:
    """See that nobody listens where the port-forwards of a stack would.

    Raises:
        ForwardError: somebody does; for all such ports, the setting and how to find out who it is.
    """
    ports = [way.local_port for way in wanted]
    taken = [taken_port(stack, way, folder) for way in wanted if way.listening]
    for way in wanted:
        if ports.count(way.local_port) > 1:
            taken.append(
                ForwardError(
                    f"{PROJECT}:clientEndpoints.{way.setting}: port {way.local_port} is that of another address, too; "
                    "choose another"
                )
            )
    if taken:
        raise ForwardError(
            "\n".join(error.says for error in taken), "\n".join(error.mend for error in taken if error.mend)
        )


def taken_port(stack: str, way: Way, folder: Path = FOLDER) -> ForwardError:
    """That somebody else listens where a port-forward would."""
    stacks = {file.stem for file in folder.glob("*.lock")} - {stack}
    others = [holder_of(other, folder) for other in sorted(stacks)]
    owner = next((found for found in others if found and way.local_port in found.ports), None)
    who = f"{owner.command} (process {owner.pid})" if owner else "something else"
    find = (
        f"lsof -nP -iTCP:{way.local_port} -sTCP:LISTEN"
        if platform.system() == "Darwin"
        else f"ss -ltnp 'sport = :{way.local_port}'"
    )
    other = way.address.replace(f":{way.local_port}", f":{way.local_port + 10000}")
    change = f"pulumi config set --path {PROJECT}:clientEndpoints.{way.setting} {other} --stack {shlex.quote(stack)}"
    return ForwardError(
        f"{PROJECT}:clientEndpoints.{way.setting}: port {way.local_port} of this machine is taken by {who}; "
        f"end that, or change the setting and make up STACK={stack}",
        f"{find}    # who it is\n{change}",
    )


# --- opening and keeping ------------------------------------------------------------------------------------------


class Forward:
    """One ``kubectl port-forward``."""

    def __init__(self, cluster: Cluster, namespace: str, way: Way) -> None:
        self.way = way
        self._command = cluster.command(
            "port-forward",
            f"service/{way.service}",
            f"{way.local_port}:{way.port}",
            f"--namespace={namespace}",
            f"--address={way.host}",
        )
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[Any] | None = None

    @property
    def pid(self) -> int:
        """The process; 0 if there is none."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether kubectl is there. That does not mean that anybody answers at the other end."""
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        """The last thing that kubectl complained about."""
        if not self._errors:
            return ""
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].removeprefix("error: ") if lines else ""

    def start(self, seconds: float = _START_SECONDS) -> None:
        """Start it and wait until it listens.

        Raises:
            ForwardError: it does not, within ``seconds``.
        """
        self.stop()
        # A file: nobody reads it until something is wrong.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `stop`)
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            # Out of reach of Ctrl-C, which is for who has started it; that one ends it in an orderly way.
            process_group=0,
        )
        listening = threading.Event()
        threading.Thread(target=_read, args=(self._process.stdout, listening), daemon=True).start()
        end = time.monotonic() + seconds
        while not listening.wait(0.1):
            if not self.running or time.monotonic() > end:
                said = self.said or f"no answer within {seconds:.0f} s"
                self.stop()
                raise ForwardError(f"no way to service/{self.way.service}: {said}")

    def stop(self) -> None:
        """End it, whatever state it is in."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._errors:
            self._errors.close()
        self._process = self._errors = None


def _read(lines: IO[str], listening: threading.Event) -> None:
    """Read all that kubectl prints, so that it never waits for that, and see when it listens.

    That somebody answers at the port would not say that it is kubectl.
    """
    with lines:
        for line in lines:
            if line.startswith("Forwarding from"):
                listening.set()


class Forwards:
    """The port-forwards of a stack. While this is entered, no other command of this folder opens them.

    Args:
        command: how a person would call who opens them, for the messages of other commands.
        stack: name of the stack.
        uid: UID of its cluster.
        cluster: the cluster.
        namespace: that of the services.
        client: whose addresses lead to the services.
        folder: where the lock is kept.
    """

    def __init__(
        self,
        command: str,
        stack: str,
        uid: str,
        cluster: Cluster,
        namespace: str,
        client: Client,
        folder: Path = FOLDER,
    ) -> None:
        self.ways = [way for way in ways_of(client) if way.forwarded]
        # The services whose forward an earlier command has left behind, and which was ended.
        self.ended: list[str] = []
        self.forwards = [Forward(cluster, namespace, way) for way in self.ways]
        self._holder = Holder(command, os.getpid(), stack, uid, [way.local_port for way in self.ways])
        self._folder = folder
        self._lock = _locked(stack, folder)

    def __enter__(self) -> Self:
        """Take the ports.

        Raises:
            ForwardError: another command has them.
        """
        self._lock.__enter__()
        stack = self._holder.stack
        self.ended = _end_left_behind(stack, self._folder)
        self._write()
        return self

    def __exit__(self, *_error: object) -> None:
        for forward in self.forwards:
            forward.stop()
        _record_file(self._holder.stack, self._folder).unlink(missing_ok=True)
        self._lock.__exit__(None, None, None)

    def check_free(self) -> None:
        """See that all ports are free (see `check_free`).

        Raises:
            ForwardError: one is not.
        """
        self.settle()
        check_free(self._holder.stack, self.ways, self._folder)

    def settle(self) -> None:
        """Wait a moment for the ports of what was `ended`."""
        end = time.monotonic() + _STOP_SECONDS
        while self.ended and any(way.listening for way in self.ways) and time.monotonic() < end:
            time.sleep(0.1)

    def open(self, forward: Forward, seconds: float = _START_SECONDS) -> None:
        """Open one of them, anew if it was open.

        Raises:
            ForwardError: it does not open within ``seconds``.
        """
        try:
            forward.start(seconds)
        finally:
            self._write()

    def _write(self) -> None:
        running = {forward.way.service: forward.pid for forward in self.forwards if forward.pid}
        content = {**asdict(self._holder), "forwards": running}
        private_file(_record_file(self._holder.stack, self._folder), json.dumps(content))


class Kept:
    """A port-forward that is opened again when it breaks.

    kubectl alone does not do that: it ends when its pod is gone, or goes on listening until somebody connects.

    Args:
        forward: what to keep, open already.
        reopen: opens it anew, or raises ForwardError.
        answers: asks the service behind it; whether it answers.
        say: told once when it is lost, and once when it is back.
    """

    # Seconds to the next try; the last counts for all further ones.
    PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
    # A busy server may miss one.
    MISSES = 2

    def __init__(
        self,
        forward: Forward,
        reopen: Callable[[Forward], None],
        answers: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self._forward, self._reopen, self._answers, self._say = forward, reopen, answers, say
        self._misses = self._tries = 0
        self._lost = self._next = 0.0

    def tend(self) -> None:
        """Look at it, and do what is to be done. To be called every few seconds."""
        name = f"{self._forward.way.address} (service/{self._forward.way.service})"
        if self._lost:
            if time.monotonic() >= self._next and self._try():
                self._say(f"back    {name}, after {time.monotonic() - self._lost:.0f} s")
                self._lost = self._misses = self._tries = 0
            return
        ended = not self._forward.running
        if not ended and self._answers():
            self._misses = 0
            return
        self._misses += 1
        if ended or self._misses >= self.MISSES:
            why = self._forward.said or ("kubectl has ended" if ended else "the service does not answer")
            self._say(f"lost    {name}: {why}; trying again")
            self._lost = time.monotonic()
            self._forward.stop()

    def _try(self) -> bool:
        """Open it again; whether the service answers."""
        with suppress(ForwardError):
            self._reopen(self._forward)
            if self._answers():
                return True
        self._forward.stop()
        self._tries += 1
        self._next = time.monotonic() + self.PAUSES[min(self._tries, len(self.PAUSES) - 1)]
        return False

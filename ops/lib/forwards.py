"""The port-forwards of a stack: opening them, and keeping them open."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from ops.lib.client import Client
from ops.lib.client_endpoints import ClientEndpoint, ForwardError, client_endpoints
from ops.lib.kubectl import Cluster
from ops.lib.port_holder import (
    FOLDER,
    Holder,
    check_free,
    end_left_behind,
    locked,
    remove_record,
    write_record,
)

_START_SECONDS = 20
_STOP_SECONDS = 5


class Forward:
    """One ``kubectl port-forward``."""

    def __init__(self, cluster: Cluster, namespace: str, endpoint: ClientEndpoint) -> None:
        self.endpoint = endpoint
        self._command = cluster.command(
            "port-forward",
            f"service/{endpoint.service}",
            f"{endpoint.local_port}:{endpoint.port}",
            f"--namespace={namespace}",
            f"--address={endpoint.host}",
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
                raise ForwardError(f"no way to service/{self.endpoint.service}: {said}")

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
        self.endpoints = [endpoint for endpoint in client_endpoints(client) if endpoint.forwarded]
        # The services whose forward an earlier command has left behind, and which was ended.
        self.ended: list[str] = []
        self.forwards = [Forward(cluster, namespace, endpoint) for endpoint in self.endpoints]
        self._holder = Holder(command, os.getpid(), stack, uid, [endpoint.local_port for endpoint in self.endpoints])
        self._folder = folder
        self._lock = locked(stack, folder)

    def __enter__(self) -> Self:
        """Take the ports.

        Raises:
            ForwardError: another command has them.
        """
        self._lock.__enter__()
        stack = self._holder.stack
        self.ended = end_left_behind(stack, self._folder)
        self._write()
        return self

    def __exit__(self, *_error: object) -> None:
        for forward in self.forwards:
            forward.stop()
        remove_record(self._holder.stack, self._folder)
        self._lock.__exit__(None, None, None)

    def check_free(self) -> None:
        """See that all ports are free (see `check_free`).

        Raises:
            ForwardError: one is not.
        """
        self.settle()
        check_free(self._holder.stack, self.endpoints, self._folder)

    def settle(self) -> None:
        """Wait a moment for the ports of what was `ended`."""
        end = time.monotonic() + _STOP_SECONDS
        while self.ended and any(endpoint.listening for endpoint in self.endpoints) and time.monotonic() < end:
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
        running = {forward.endpoint.service: forward.pid for forward in self.forwards if forward.pid}
        write_record(self._holder, running, self._folder)


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
        name = f"{self._forward.endpoint.address} (service/{self._forward.endpoint.service})"
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

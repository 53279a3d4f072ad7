"""The port-forwards of a stack."""

import json
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Self

from ops.lib.client import Client
from ops.lib.client_endpoints import ClientEndpoint, client_endpoints
from ops.lib.kubectl import Cluster
from ops.lib.port_holder import FOLDER, ForwardError, Holder, check_free, end_left_behind, locked, record_file
from ops.lib.private_file import write_private

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
        """Id of the process; 0 if there is none."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether kubectl is running. The service behind it may still not answer."""
        return self._process is not None and self._process.poll() is None

    @property
    def last_error(self) -> str:
        """Last error that kubectl printed; empty if there is none."""
        if not self._errors:
            return ""
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].removeprefix("error: ") if lines else ""

    def start(self, seconds: float = _START_SECONDS) -> None:
        """Start kubectl and wait until it listens.

        Raises:
            ForwardError: it does not listen within ``seconds``.
        """
        self.stop()
        # A file, because it is read only if something goes wrong.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `stop`)
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            # In a separate process group, so that Ctrl-C reaches only this program, which then stops kubectl.
            process_group=0,
        )
        listening = threading.Event()
        threading.Thread(target=_read, args=(self._process.stdout, listening), daemon=True).start()
        end = time.monotonic() + seconds
        while not listening.wait(0.1):
            if not self.running or time.monotonic() > end:
                reason = self.last_error or f"no answer within {seconds:.0f} s"
                self.stop()
                raise ForwardError(f"cannot reach service/{self.endpoint.service}: {reason}")

    def stop(self) -> None:
        """Stop kubectl, in any state."""
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
    """Read the output of kubectl, so that its pipe never fills up, and set ``listening`` once kubectl listens.

    An answer at the port would not prove that it is kubectl's.
    """
    with lines:
        for line in lines:
            if line.startswith("Forwarding from"):
                listening.set()


class Forwards:
    """The port-forwards of a stack. Inside this context, no other command of this folder can open them.

    Args:
        command: name of the running command, for the messages of other commands.
        stack: name of the stack.
        uid: UID of its cluster.
        cluster: the cluster.
        namespace: namespace of the services.
        client: client with the addresses that lead to the services.
        folder: folder of the lock.
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
        self.ended: list[str] = []
        """Services whose port-forwards an earlier command left behind; this one ended them."""
        self.forwards = [Forward(cluster, namespace, endpoint) for endpoint in self.endpoints]
        self._holder = Holder(command, os.getpid(), stack, uid, [endpoint.local_port for endpoint in self.endpoints])
        self._folder = folder
        self._lock = locked(stack, folder)

    def __enter__(self) -> Self:
        """Take the ports.

        Raises:
            ForwardError: another command holds them.
        """
        self._lock.__enter__()
        stack = self._holder.stack
        self.ended = end_left_behind(stack, self._folder)
        self._write()
        return self

    def __exit__(self, *_error: object) -> None:
        for forward in self.forwards:
            forward.stop()
        record_file(self._holder.stack, self._folder).unlink(missing_ok=True)
        self._lock.__exit__(None, None, None)

    def check_free(self) -> None:
        """Check that all ports are free (see `ops.lib.port_holder.check_free`).

        Raises:
            ForwardError: a port is taken.
        """
        self.settle()
        check_free(self._holder.stack, self.endpoints, self._folder)

    def settle(self) -> None:
        """Wait a few seconds for the ports of the port-forwards in `ended` to become free."""
        end = time.monotonic() + _STOP_SECONDS
        while self.ended and any(endpoint.listening for endpoint in self.endpoints) and time.monotonic() < end:
            time.sleep(0.1)

    def open(self, forward: Forward, seconds: float = _START_SECONDS) -> None:
        """Open a port-forward, or reopen it.

        Raises:
            ForwardError: it does not open within ``seconds``.
        """
        try:
            forward.start(seconds)
        finally:
            self._write()

    def _write(self) -> None:
        running = {forward.endpoint.service: forward.pid for forward in self.forwards if forward.pid}
        content = {**asdict(self._holder), "forwards": running}
        write_private(record_file(self._holder.stack, self._folder), json.dumps(content))

"""The port-forwards of a stack, with a browser guard in front of those that browsers could reach."""

import json
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Self

from ops.lib.browser_guard import BrowserGuard, Place
from ops.lib.browser_rules import BrowserRules
from ops.lib.client import Client
from ops.lib.client_endpoints import ClientEndpoint, client_endpoints
from ops.lib.hidden_place import hidden_place
from ops.lib.kubectl import Cluster
from ops.lib.port_holder import FOLDER, ForwardError, Holder, check_free, end_left_behind, locked, record_file
from ops.lib.private_file import write_private

_START_SECONDS = 20
_STOP_SECONDS = 5


class Forward:
    """One ``kubectl port-forward``.

    Args:
        cluster: the cluster.
        namespace: namespace of the service.
        endpoint: the service, and the address at which clients expect it.
        hidden: whether kubectl listens where browsers cannot reach it (see `ops.lib.hidden_place`) instead of at the
            address of the endpoint.
    """

    def __init__(self, cluster: Cluster, namespace: str, endpoint: ClientEndpoint, hidden: bool = False) -> None:
        self.endpoint = endpoint
        self._cluster, self._namespace, self._hidden = cluster, namespace, hidden
        self._place: Place | None = None
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[Any] | None = None

    @property
    def pid(self) -> int:
        """Id of the process; 0 if there is none."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether kubectl is running. The service behind it may still not answer."""
        # Read once, because the browser guard asks from another thread.
        process = self._process
        return process is not None and process.poll() is None

    @property
    def place(self) -> Place | None:
        """Where kubectl listens; None if it does not."""
        return self._place if self.running else None

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
        place = self._free_place()
        # A file, because it is read only if something goes wrong.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `stop`)
        self._process = subprocess.Popen(
            self._command(*place),
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
        self._place = place

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
        self._process = self._errors = self._place = None

    def _free_place(self) -> Place:
        if not self._hidden:
            return self.endpoint.host, self.endpoint.local_port
        try:
            return hidden_place()
        except OSError as error:
            raise ForwardError(f"cannot reach service/{self.endpoint.service}: {error}") from None

    def _command(self, host: str, port: int) -> list[str]:
        return self._cluster.command(
            "port-forward",
            f"service/{self.endpoint.service}",
            f"{port}:{self.endpoint.port}",
            f"--namespace={self._namespace}",
            f"--address={host}",
        )


def _read(lines: IO[str], listening: threading.Event) -> None:
    """Read the output of kubectl, so that its pipe never fills up, and set ``listening`` once kubectl listens.

    An answer at the port would not prove that it is kubectl's.
    """
    with lines:
        for line in lines:
            if line.startswith("Forwarding from"):
                listening.set()


def _guard(forward: Forward, rules: BrowserRules) -> BrowserGuard:
    endpoint = forward.endpoint
    return BrowserGuard(rules, (endpoint.host, endpoint.local_port), lambda: forward.place)


class Forwards:
    """The port-forwards of a stack. Inside this context, no other command of this folder can open them.

    A browser guard listens at the addresses of the HTTP endpoints, for every command that opens them: also while the
    doctor runs, web pages can send requests. It keeps listening while its port-forward is broken, so that no other
    program gets the port.

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
        rules = {
            "http": BrowserRules.of_api(client.http),
            "objectStore": BrowserRules.of_store(client.object_store, client.http),
        }
        self.forwards = [
            Forward(cluster, namespace, endpoint, hidden=endpoint.setting in rules) for endpoint in self.endpoints
        ]
        self._guards = {
            forward.endpoint.service: _guard(forward, rules[forward.endpoint.setting])
            for forward in self.forwards
            if forward.endpoint.setting in rules
        }
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
        for guard in self._guards.values():
            guard.stop()
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
        """Open a port-forward with its browser guard, or reopen it.

        Raises:
            ForwardError: it does not open within ``seconds``, or the port is taken.
        """
        try:
            forward.start(seconds)
            self._start_guard(forward)
        finally:
            self._write()

    def _start_guard(self, forward: Forward) -> None:
        endpoint = forward.endpoint
        try:
            if guard := self._guards.get(endpoint.service):
                guard.start()
        except OSError as error:
            forward.stop()
            reason = f"unable to listen on port {endpoint.local_port}: {error.strerror}"
            raise ForwardError(f"cannot reach service/{endpoint.service}: {reason}") from None

    def _write(self) -> None:
        running = {forward.endpoint.service: forward.pid for forward in self.forwards if forward.pid}
        content = {**asdict(self._holder), "forwards": running}
        write_private(record_file(self._holder.stack, self._folder), json.dumps(content))

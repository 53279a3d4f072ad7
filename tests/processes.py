"""Processes and servers for tests, with a working folder and free ports. Nothing remains after a test."""

import http.server
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme


@dataclass(frozen=True)
class Workspace:
    """Folder of a test, and the user that runs its programs (None: the user that runs the tests)."""

    path: Path
    uid: int | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Arguments of ``subprocess`` that make a process run as this user."""
        return {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}

    def folder(self, name: str) -> Path:
        path = self.path / name
        path.mkdir(mode=0o700)
        return self._hand_over(path)

    def file(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.path / name
        path.write_text(text)
        path.chmod(mode)
        return self._hand_over(path)

    def _hand_over(self, path: Path) -> Path:
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)
        return path


@contextmanager
def workspace(uid: int | None = None) -> Iterator[Workspace]:
    """A folder that is removed when the context ends.

    Unlike pytest's own folder, other users can access it, and its path is short enough for a Unix socket.
    """
    path = Path(tempfile.mkdtemp(prefix="scripts-"))
    try:
        if uid is not None:
            os.chown(path, uid, uid)
        yield Workspace(path, uid)
    finally:
        shutil.rmtree(path)


@contextmanager
def process(
    command: list[str], env: Mapping[str, str], work: Workspace, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed when the context ends, with every process it has started."""
    options = {"stdin": subprocess.DEVNULL, "text": True, "cwd": work.path, **options}
    # A new session makes it the leader of a process group, which can be killed as a whole.
    started = subprocess.Popen(command, env=dict(env), start_new_session=True, **work.identity, **options)
    try:
        yield started
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
        for stream in (started.stdin, started.stdout, started.stderr):
            if stream:
                stream.close()


@contextmanager
def serving(
    handler: Callable[..., http.server.BaseHTTPRequestHandler], authority: trustme.CA | None = None
) -> Iterator[str]:
    """The address of an HTTP server on loopback that uses ``handler`` until the context ends.

    With an authority, it uses TLS with a certificate from this authority.
    """
    # Threads, because a client that only checks whether the server is up must not block the others.
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if authority:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    # How long stopping the server takes at most, in seconds. Python's default is half a second for each of many tests.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"{'https' if authority else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Wait until ``condition`` holds.

    Raises:
        TimeoutError: it does not hold within ``seconds``; the message names ``what`` was waited for.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)

"""A pooler of PostgreSQL connections, as small as one can be: in transaction mode, or in session mode.

In transaction mode, all clients share one session of the server, and each has it for one transaction. It speaks the
simple part of https://www.postgresql.org/docs/current/protocol-flow.html, and logs in without a password.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_ENCRYPTION = {80877103, 80877104}  # requests for TLS and for GSSAPI, which it rejects
_IDLE = b"I"


class _Session:
    """A connection to the server, on which a login has succeeded."""

    def __init__(self, port: int, user: str, database: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        wanted = f"user\0{user}\0database\0{database}\0\0".encode()
        self.socket.sendall(struct.pack("!ii", len(wanted) + 8, 196608) + wanted)
        self.greeting = b""
        while True:
            kind, message = _message(self.socket)
            assert kind != b"E", message
            self.greeting += message
            if kind == b"Z":
                return


@contextmanager
def pooler(port: int, user: str, database: str, *, transactions: bool) -> Iterator[int]:
    """A pooler in front of the server at ``port`` of 127.0.0.1. Yields its own port.

    Args:
        port: port of the server, which lets the user in without a password.
        user: role of the sessions.
        database: database of the sessions.
        transactions: whether clients share one session, each for a transaction at a time.
    """
    shared = _Session(port, user, database) if transactions else None
    turn = threading.Lock()

    def serve(client: socket.socket) -> None:
        session = shared or _Session(port, user, database)
        with client, suppress(ConnectionError, struct.error):
            if b"\0options\0" in _start(client):
                # As PgBouncer does by default.
                client.sendall(_error("unsupported startup parameter: options"))
                return
            client.sendall(session.greeting)
            while _transaction(client, session.socket, turn if shared else threading.Lock()):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    client, _ = listening.accept()
                    client.settimeout(20)
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def _start(client: socket.socket) -> bytes:
    """The parameters that a client sends first."""
    while True:
        (length,) = struct.unpack("!i", _exactly(client, 4))
        content = _exactly(client, length - 4)
        if struct.unpack("!i", content[:4])[0] not in _ENCRYPTION:
            return content
        client.sendall(b"N")


def _error(said: str) -> bytes:
    """The message of an error that ends a session."""
    fields = f"SFATAL\0C08P01\0M{said}\0\0".encode()
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


def _transaction(client: socket.socket, server: socket.socket, turn: threading.Lock) -> bool:
    """Pass one transaction of a client to the server, and the answers back. Returns whether the client stays."""
    kind, message = _message(client)
    if kind == b"X":
        return False
    with turn:
        while True:
            server.sendall(message)
            status = b""
            while not status:
                answer, content = _message(server)
                client.sendall(content)
                status = content[-1:] if answer == b"Z" else b""
                if answer == b"G":
                    _copy(client, server)
            if status == _IDLE:
                return True
            kind, message = _message(client)
            if kind == b"X":
                return False


def _copy(client: socket.socket, server: socket.socket) -> None:
    """Pass the rows of a COPY to the server."""
    kind = b""
    while kind not in {b"c", b"f"}:
        kind, message = _message(client)
        server.sendall(message)


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    """The kind of the next message, and the whole message."""
    head = _exactly(source, 5)
    (length,) = struct.unpack("!i", head[1:])
    return head[:1], head + _exactly(source, length - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = source.recv(size - len(found))
        if not part:
            raise ConnectionError
        found += part
    return found

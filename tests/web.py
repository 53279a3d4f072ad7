"""A browser guard with a server behind it that records what reaches it, and clients that speak to it byte by byte."""

import http.client
import http.server
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ops.lib.browser_guard import BrowserGuard, Place
from ops.lib.browser_rules import BrowserRules
from tests.processes import free_port, serving

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reached:
    """A request that reached the server."""

    method: str
    target: str
    headers: http.client.HTTPMessage
    body: bytes


@dataclass
class Upstream:
    """A server that records its requests and answers them."""

    seen: list[Reached] = field(default_factory=list)
    content: bytes = b"answer"
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    pages: dict[str, str] = field(default_factory=dict)
    """HTML of some targets."""

    @contextmanager
    def serve(self) -> Iterator[Place]:
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self._chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else self._counted()
                upstream.seen.append(Reached(self.command, self.path, self.headers, body))
                self.send_response(upstream.status)
                for name, value in upstream.headers.items():
                    self.send_header(name, value)
                page = upstream.pages.get(self.path)
                content = page.encode() if page else upstream.content
                if page:
                    self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def _counted(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))

            def _chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        with serving(Handler) as address:
            yield "127.0.0.1", int(address.rpartition(":")[2])


@dataclass
class Guarded:
    """A browser guard that listens at ``port``."""

    port: int
    upstream: Upstream
    place: Place | None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    def ask(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> int:
        """Send a request as a program does, with these headers; return the status."""
        given = {"Host": self.host, **(headers or {})}
        if body:
            given["Content-Length"] = str(len(body))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        return status(self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body))

    def raw(self, request: bytes) -> bytes:
        """Send bytes, and return the answer up to the end of its content."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as client:
            client.sendall(request)
            answer = http.client.HTTPResponse(client, method=request.partition(b" ")[0].decode())
            try:
                answer.begin()
            except (http.client.HTTPException, ConnectionError):
                return b""
            head = "".join(f"{name}: {value}\r\n" for name, value in answer.getheaders())
            return f"HTTP/1.1 {answer.status}\r\n{head}\r\n".encode() + answer.read()


def status(answer: bytes) -> int:
    """The status of an answer; 0 if the connection was closed without one."""
    return int(answer.split()[1]) if answer else 0


@contextmanager
def guarded(upstream: Upstream, rules: str = "api", console: str = "http://127.0.0.1:8088") -> Iterator[Guarded]:
    """A browser guard in front of the API or the store; the console is at ``console``."""
    with upstream.serve() as place:
        found = Guarded(0, upstream, place)
        guard = _started(found, rules, console)
        try:
            yield found
        finally:
            guard.stop()


def _started(found: Guarded, rules: str, console: str) -> BrowserGuard:
    for _ in range(10):  # another test may take a free port first
        found.port = free_port()
        chosen = BrowserRules.of_api(found.origin) if rules == "api" else BrowserRules.of_store(found.origin, console)
        guard = BrowserGuard(chosen, ("127.0.0.1", found.port), lambda: found.place)
        with suppress(OSError):
            guard.start()
            return guard
    raise AssertionError("no port is free")

"""The browser guard against a real browser: what its pages try, and what reaches the server behind it.

Each attack also runs without the browser guard, which shows that the browser really sends it.
"""

import http.server
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ops.lib.hidden_place import hidden_place
from tests.processes import free_port, serving, wait_until
from tests.tools import require
from tests.web import Guarded, Upstream, guarded

PAGES = Path(__file__).with_name("pages")
API = "/api/v1/executions"
SITE = "evil.example"
# Requests of a browser to its vendor, and what a browser without a screen does not need.
QUIET = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
]
# Chromium asks its user before a page of the internet may reach this machine. Other browsers do not.
UNPROTECTED = "--disable-features=LocalNetworkAccessChecks"


@contextmanager
def browser(folder: Path, url: str, *rules: str) -> Iterator[None]:
    """A browser that shows a page, with rules about where host names lead."""
    program = require("chromium")
    folder.mkdir()
    # Chromium has no sandbox for root.
    root = ["--no-sandbox"] if os.getuid() == 0 else []
    resolver = f"--host-resolver-rules={', '.join([*rules, f'MAP {SITE} 127.0.0.1'])}"
    command = [program, *QUIET, UNPROTECTED, *root, resolver, f"--user-data-dir={folder}", url]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes, start_new_session=True) as started:
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, 9)


class Site:
    """A foreign site, which answers every path with its page and records the results that the page sends to /done."""

    def __init__(self) -> None:
        self.page = ""
        self.redirections: dict[str, str] = {}
        self.done: list[str] = []

    @contextmanager
    def serve(self) -> Iterator[int]:
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/favicon.ico":
                    self.send_error(404)
                    return
                if self.path.startswith("/done"):
                    site.done.append(self.path.partition("?")[2])
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(site.page.encode())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.send_response(302)
                self.send_header("Location", site.redirections[self.path])
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with serving(Handler) as address:
            yield int(address.rpartition(":")[2])


def page(name: str, **values: object) -> str:
    """A page that runs a script of the folder pages with these constants, and then sends its results to /done."""
    constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
    script = (PAGES / f"{name}.js").read_text()
    return (
        f"<!doctype html><body><script>const done = [];{constants}(async () => {{ {script} }})()"
        ".catch(error => done.push(String(error))).finally(() => fetch('/done?' + done))</script>"
    )


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize("rules", ["api", "store"])
@pytest.mark.parametrize("host", [SITE, "127.0.0.1", "localhost"])
def test_no_request_of_a_page_on_another_origin_arrives(tmp_path: Path, site: Site, host: str, rules: str):
    with guarded(Upstream(), rules) as found, site.serve() as port:
        site.page = page("attacks", target=found.origin)
        with browser(tmp_path / "profile", f"http://{host}:{port}/"):
            wait_until(lambda: bool(site.done), "the page", 60)

    assert found.upstream.seen == []
    # The browser guard has answered; the page can read no answer.
    assert set(site.done[0].split(",")) == {"opaque", "failed"}


def test_without_the_browser_guard_the_same_requests_arrive(tmp_path: Path, site: Site):
    upstream = Upstream()
    with upstream.serve() as (_, behind), site.serve() as port:
        site.page = page("attacks", target=f"http://127.0.0.1:{behind}")
        with browser(tmp_path / "profile", f"http://{SITE}:{port}/"):
            wait_until(lambda: bool(site.done), "the page", 60)

    posts = [reached for reached in upstream.seen if reached.method == "POST" and reached.target == API]
    types = {(reached.headers["Content-Type"] or "").partition(";")[0] for reached in posts}
    assert {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""} <= types
    assert any(json.loads(reached.body)["project"] == "remedy" for reached in posts if reached.body.endswith(b'"}\r\n'))
    assert any(reached.headers["Origin"] == "null" for reached in posts)
    assert {"/console/img", "/console/script", "/console/link", "/console/iframe", "/console/object", "/socket"} <= {
        reached.target for reached in upstream.seen
    }


class Rebound:
    """A port whose connections lead to one server first, and later to another, as with a name whose address changes."""

    def __init__(self, port: int) -> None:
        self.port = port

    @contextmanager
    def serve(self) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            yield listener.getsockname()[1]
            listener.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("protected", [True, False])
def test_a_page_whose_name_comes_to_lead_to_this_machine_does_not_get_through(
    tmp_path: Path, site: Site, protected: bool
):
    # The site redirects POST, so that its own answers cannot be taken for the server's.
    site.redirections = {API: "/"}
    with guarded(Upstream()) as found, site.serve() as own:
        rebound = Rebound(own)
        with rebound.serve() as front:
            site.page = page("rebinding", report=f"http://127.0.0.1:{own}")
            # For the browser, this is one origin: the port of the endpoint.
            with browser(
                tmp_path / "profile", f"http://{SITE}:{found.port}/", f"MAP {SITE}:{found.port} 127.0.0.1:{front}"
            ):
                wait_until(lambda: "loaded" in site.done, "the page", 60)
                rebound.port = found.port if protected else found.place[1]
                wait_until(lambda: len(site.done) > 1, "the attempts", 60)

    assert ("403" if protected else "200") in site.done[1].split(",")
    assert bool(found.upstream.seen) is not protected


def test_a_browser_does_not_connect_to_the_port_forward_behind_the_browser_guard(tmp_path: Path, site: Site):
    connected: list[object] = []
    host, port = hidden_place()
    ordinary = free_port()
    with socket.create_server((host, port)) as hidden, socket.create_server((host, ordinary)) as control:
        for listener in (hidden, control):
            threading.Thread(target=_record, args=(listener, connected), daemon=True).start()
        with site.serve() as own:
            places = [f"{name}:{number}" for number in (port, ordinary) for name in (host, SITE)]
            site.page = page("ports", places=places)
            with browser(tmp_path / "profile", f"http://{SITE}:{own}/", f"MAP {SITE}:{port} {host}"):
                wait_until(lambda: bool(site.done), "the page", 60)
        for listener in (hidden, control):
            listener.shutdown(socket.SHUT_RDWR)

    assert set(connected) == {ordinary}


def _record(listener: socket.socket, connected: list[object]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            connected.append(listener.getsockname()[1])
            client.close()


DECK = """<script>
fetch('%s/api/v1/executions/stolen', {method: 'POST', mode: 'no-cors', body: '{}'}).catch(() => 0);
</script>"""


def test_the_console_works_and_a_deck_in_it_cannot_use_the_api(tmp_path: Path):
    files = Upstream(headers={"Access-Control-Allow-Methods": "PUT", "Access-Control-Allow-Origin": "*"})
    with guarded(Upstream()) as api, guarded(files, "store", api.origin) as store:
        api.upstream.pages["/console/"] = page("console", store=store.origin)
        files.pages["/bucket/deck?X-Amz-Signature=1"] = DECK % api.origin
        with browser(tmp_path / "profile", f"{api.origin}/console/"):
            wait_until(lambda: _results(api) != [], "the console", 60)

    assert _results(api) == ["get:200,post:200,put:200,delete:200,download:200,upload:200"]
    assert ("GET", "/bucket/deck?X-Amz-Signature=1") in [(reached.method, reached.target) for reached in files.seen]
    assert ("PUT", b"data") in [(reached.method, reached.body) for reached in files.seen]
    assert not [reached for reached in api.upstream.seen if "stolen" in reached.target]


def _results(api: Guarded) -> list[str]:
    reached = [reached.target for reached in api.upstream.seen]
    return [target.partition("?")[2] for target in reached if target.startswith("/done")]


@pytest.mark.parametrize("way", ["link", "login"])
def test_a_link_and_the_end_of_a_login_lead_to_the_console(tmp_path: Path, site: Site, way: str):
    with guarded(Upstream()) as api, site.serve() as port:
        site.redirections = {"/login": f"{api.origin}/callback?code=1"}
        form = "<form method=post action=/login></form><script>document.forms[0].submit()</script>"
        link = f"<script>location = '{api.origin}/console/projects/remedy'</script>"
        site.page = form if way == "login" else link
        with browser(tmp_path / "profile", f"http://{SITE}:{port}/"):
            wait_until(lambda: bool(api.upstream.seen), "the request", 60)

    assert api.upstream.seen[0].target == ("/callback?code=1" if way == "login" else "/console/projects/remedy")
    assert api.upstream.seen[0].headers["Sec-Fetch-Site"] == "cross-site"

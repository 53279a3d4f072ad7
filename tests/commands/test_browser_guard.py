"""The browser guard: what a foreign web page sends does not reach Flyte; what programs and the console send does."""

import base64
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import grpc
import pytest

from ops.lib.browser_guard import BrowserGuard
from ops.lib.browser_rules import BrowserRules
from ops.lib.client import Client
from ops.lib.hidden_place import BLOCKED_PORTS, hidden_place
from tests.processes import free_port, wait_until
from tests.web import JSON, Guarded, Upstream, guarded, status

CONSOLE = "http://127.0.0.1:8088"
API = "/api/v1/executions"
EVIL = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture
def api() -> Iterator[Guarded]:
    with guarded(Upstream()) as found:
        yield found


@pytest.fixture
def store() -> Iterator[Guarded]:
    with guarded(Upstream(), "store", CONSOLE) as found:
        yield found


# What web pages send.


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", EVIL | {"Content-Type": "text/plain"}),
        ("POST", EVIL | JSON),
        ("POST", EVIL | {"Content-Type": "application/x-www-form-urlencoded"}),
        ("POST", EVIL | {"Content-Type": "multipart/form-data; boundary=x"}),
        ("POST", JSON | {"Origin": "null"}),
        ("POST", JSON | {"Origin": "http://localhost"}),
        ("POST", JSON | {"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}),
        ("POST", JSON | {"Sec-Fetch-Site": "same-site"}),
        ("POST", JSON | {"Sec-Fetch-Site": "cross-site"}),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}),
        ("GET", EVIL),
        ("GET", LINK),
        ("DELETE", EVIL),
        ("OPTIONS", EVIL | {"Access-Control-Request-Method": "POST"}),
    ],
)
def test_requests_of_a_foreign_page_do_not_reach_the_api(api: Guarded, method: str, headers: dict[str, str]):
    body = b'{"project": "remedy"}' if method == "POST" else b""

    assert api.ask(method, API, headers, body) == 403
    assert api.upstream.seen == []


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/plain; application/json",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/json, text/plain",
        "text/json",
        "",
    ],
)
def test_content_types_that_a_form_can_send_are_rejected_even_from_browsers_that_name_no_origin(
    api: Guarded, content_type: str
):
    assert api.ask("POST", API, {"Content-Type": content_type}, b"{}") == 403
    assert api.upstream.seen == []


def test_content_without_a_type_is_rejected_and_so_is_a_post_without_content(api: Guarded):
    assert api.ask("POST", API, {}, b"{}") == 403
    assert api.ask("POST", API, {"Content-Length": "0"}) == 403
    assert api.ask("POST", API) == 403
    assert api.ask("DELETE", API, {}, b"{}") == 403
    assert api.ask("POST", API, {"Content-Type": "application/json\r\nContent-Type: text/plain"}, b"{}") in {400, 403}
    assert api.raw(f"POST {API} HTTP/1.1\r\nHost: {api.host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode())
    assert api.upstream.seen == []


def test_only_the_path_for_tokens_accepts_a_form(api: Guarded):
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert api.ask("POST", "/oauth2/token", form, b"grant_type=client_credentials") == 200
    assert api.ask("POST", "/oauth2/token", EVIL | form, b"grant_type=client_credentials") == 403
    assert api.ask("POST", "/oauth2/token/../../api/v1/executions", form, b"x=1") == 403
    assert [reached.target for reached in api.upstream.seen] == ["/oauth2/token"]


@pytest.mark.parametrize("rules", ["api", "store"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1.:{port}",
        "localhost.:{port}",
        "LOCALHOST:{port}",
        "user@127.0.0.1:{port}",
        "127.0.0.1:{port}@evil.example",
        "127.1:{port}",
        "0.0.0.0:{port}",
        "2130706433:{port}",
        "[::ffff:127.0.0.1]:{port}",
        "127.0.0.1:0{port}",
        "127.0.0.1:{port}, evil.example",
        "",
    ],
)
def test_a_foreign_host_is_rejected_which_stops_dns_rebinding(rules: str, host: str):
    with guarded(Upstream(), rules) as found:
        assert found.ask("GET", "/", {"Host": host.format(port=found.port)}) in {400, 403}
        assert found.upstream.seen == []


def test_the_names_of_this_machine_are_accepted(api: Guarded):
    for name in ("127.0.0.1", "localhost", "[::1]"):
        assert api.ask("GET", API, {"Host": f"{name}:{api.port}"}) == 200


def test_port_80_may_be_left_out():
    rules = BrowserRules.of_api("http://localhost")

    assert {"localhost", "localhost:80"} <= rules.hosts


def test_a_request_without_a_host_or_with_two_is_rejected(api: Guarded):
    two = f"GET / HTTP/1.1\r\nHost: {api.host}\r\nHost: {api.host}\r\n\r\n"

    assert status(api.raw(b"GET / HTTP/1.1\r\n\r\n")) in {400, 403}
    assert status(api.raw(b"GET / HTTP/1.0\r\n\r\n")) in {400, 403}
    assert status(api.raw(two.encode())) in {400, 403}
    assert api.upstream.seen == []


@pytest.mark.parametrize(
    "target", ["http://evil.example/", "http://127.0.0.1:{port}/", "//evil.example/x", "*", "evil.example:443", "@evil"]
)
def test_the_target_never_decides_which_server_is_asked(api: Guarded, target: str):
    found = api.ask("GET", target.format(port=api.port))

    if target.startswith("//"):  # an ordinary path, for the server behind the browser guard
        assert found == 200
        assert api.upstream.seen[0].headers["Host"] == api.host
    else:
        assert found in {400, 403}
        assert api.upstream.seen == []


def test_other_kinds_of_requests_are_rejected(api: Guarded):
    websocket = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }

    assert api.ask("GET", "/", websocket) == 403
    assert api.ask("GET", "/", websocket | {"Origin": api.origin}) == 403
    assert api.ask("CONNECT", "127.0.0.1:22") in {400, 403}
    assert api.ask("TRACE", "/") in {400, 403}
    assert api.ask("PROPFIND", "/") in {400, 403}
    assert api.ask("get", "/") in {400, 403}
    assert status(api.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) in {0, 400, 403}
    assert api.upstream.seen == []


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 2",
        "Content-Length: 2\r\nContent-Length: 40",
        "Content-Length: 2, 40",
        "Content-Length: +2",
        "Content-Length: -2",
        "Content-Length: 0x2",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked, identity",
        " Content-Length: 2",
        "Content-Length: 2\nX: y\r",
    ],
)
def test_a_request_that_hides_another_one_is_rejected(api: Guarded, framing: str):
    hidden = f"POST {API} HTTP/1.1\r\nHost: {api.host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
    request = f"POST {API} HTTP/1.1\r\nHost: {api.host}\r\nContent-Type: application/json\r\n{framing}\r\n\r\n0\r\n\r\n"

    assert status(api.raw((request + hidden).encode())) in {0, 400, 403}
    time.sleep(0.1)
    assert api.upstream.seen == []


def test_each_request_of_a_connection_is_checked(api: Guarded):
    client = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    client.request("GET", API)
    with client.getresponse() as first:
        first.read()
    client.request("GET", API, headers={"Host": "evil.example"})
    with client.getresponse() as second:
        assert (first.status, second.status) == (200, 403)
    client.close()
    assert len(api.upstream.seen) == 1


def test_headers_that_are_too_long_are_rejected_and_those_of_a_login_are_not(api: Guarded):
    assert api.ask("GET", API, {"Cookie": "x" * 32_000}) == 200
    assert api.ask("GET", API, {"Cookie": "x" * 100_000}) in {0, 400, 431}
    assert api.ask("GET", API, {f"X-{number}": "y" for number in range(1000)}) in {0, 400, 431}
    assert len(api.upstream.seen) == 1


def test_slow_clients_do_not_hold_up_others(api: Guarded):
    with ExitStack() as slow:
        for _ in range(200):
            client = slow.enter_context(socket.create_connection(("127.0.0.1", api.port)))
            client.sendall(b"POST / HTTP/1.1\r\nHost:")
        begin = time.monotonic()
        assert api.ask("GET", API) == 200
        assert time.monotonic() - begin < 2


# What the console sends.


def test_the_console_uses_the_api_from_its_own_origin(api: Guarded):
    own = {"Origin": api.origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}

    assert api.ask("GET", "/console/", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}) == 200
    assert api.ask("GET", "/console/assets/app.js", {"Sec-Fetch-Site": "same-origin"}) == 200
    assert api.ask("POST", API, own | {"Content-Type": "application/octet-stream"}, b"\x0a\x00") == 200
    assert api.ask("PUT", API, own | {"Content-Type": "application/json; charset=utf-8"}, b"{}") == 200
    assert api.ask("DELETE", API, own) == 200
    assert [reached.body for reached in api.upstream.seen] == [b"", b"", b"\x0a\x00", b"{}", b""]


def test_the_own_origin_does_not_excuse_a_foreign_site(api: Guarded):
    assert api.ask("POST", API, JSON | {"Origin": api.origin, "Sec-Fetch-Site": "cross-site"}, b"{}") == 403
    assert api.ask("POST", API, JSON | {"Origin": f"http://localhost:{api.port}"}, b"{}") == 403


@pytest.mark.parametrize(
    "path",
    ["/console", "/console/projects/remedy?x=1", "/login?redirect_url=x", "/callback?code=1", "/oauth2/authorize"],
)
def test_links_from_other_sites_lead_to_the_console_and_through_the_login(api: Guarded, path: str):
    assert api.ask("GET", path, LINK) == 200
    assert api.ask("GET", path, LINK | {"Origin": "null"}) == 200


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/console", LINK | {"Sec-Fetch-Dest": "iframe"}),
        ("GET", "/console", LINK | {"Sec-Fetch-Dest": "object"}),
        ("GET", "/console", LINK | {"Sec-Fetch-Mode": "no-cors"}),
        ("GET", "/console", LINK | {"Origin": "https://evil.example"}),
        ("POST", "/console", LINK | JSON),
        ("GET", "/consolex", LINK),
        ("GET", "/logout", LINK),
        ("GET", "/api/v1/projects", LINK),
    ],
)
def test_everything_else_from_other_sites_is_no_link(api: Guarded, method: str, path: str, headers: dict[str, str]):
    assert api.ask(method, path, headers) == 403
    assert api.upstream.seen == []


def test_the_console_reads_signed_urls_of_the_store_and_asks_first(store: Guarded):
    store.upstream.headers = {"Access-Control-Allow-Origin": CONSOLE, "Vary": "Origin"}
    page = {"Origin": CONSOLE, "Sec-Fetch-Site": "same-site"}

    answer = store.raw(
        f"OPTIONS /bucket/key HTTP/1.1\r\nHost: {store.host}\r\nOrigin: {CONSOLE}\r\nSec-Fetch-Site: same-site\r\n"
        "Access-Control-Request-Method: PUT\r\n\r\n".encode()
    )
    assert f"Access-Control-Allow-Origin: {CONSOLE}".encode() in answer
    assert store.ask("GET", "/bucket/key?X-Amz-Signature=1", page) == 200
    assert store.ask("PUT", "/bucket/key?X-Amz-Signature=1", page | {"Content-Type": "text/plain"}, b"data") == 200
    assert store.upstream.seen[0].headers["Access-Control-Request-Method"] == "PUT"


def test_the_console_shows_decks_of_the_store_in_a_frame(store: Guarded):
    frame = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}

    assert store.ask("GET", "/bucket/deck.html", frame | {"Referer": f"{CONSOLE}/"}) == 200
    assert store.ask("GET", "/bucket/deck.html", frame | {"Referer": "http://127.0.0.1:3000/"}) == 403
    assert store.ask("GET", "/bucket/deck.html", frame | {"Referer": f"{CONSOLE}.evil.example/"}) == 403
    assert store.ask("GET", "/bucket/deck.html", frame) == 403


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", EVIL),
        ("PUT", EVIL),
        ("OPTIONS", EVIL),
        ("GET", {"Origin": "null"}),
        ("GET", {"Origin": f"{CONSOLE}.evil.example"}),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}),
        ("GET", LINK),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Referer": f"{CONSOLE}/"}),
    ],
)
def test_requests_of_a_foreign_page_do_not_reach_the_store(store: Guarded, method: str, headers: dict[str, str]):
    assert store.ask(method, "/bucket/key", headers) == 403
    assert store.upstream.seen == []


@pytest.mark.parametrize("console", ["https://flyte.home.example", "https://Flyte.home.example:443"])
def test_the_store_accepts_a_console_behind_an_ingress(console: str):
    with guarded(Upstream(), "store", console) as found:
        assert found.ask("GET", "/bucket/key", {"Origin": "https://flyte.home.example"}) == 200
        assert found.ask("GET", "/bucket/key", {"Origin": "http://flyte.home.example"}) == 403


# What programs send.


@pytest.mark.parametrize(
    "target",
    [
        "/bucket/a%20b%2Fc+d",
        "/bucket//double",
        "/bucket/../x",
        "/bucket/%C3%A4?list-type=2&prefix=a%2Fb&x",
        "/b?X=%7e~",
    ],
)
def test_target_and_host_arrive_as_they_were_signed(store: Guarded, target: str):
    assert store.ask("GET", target, {"Authorization": "AWS4-HMAC-SHA256 x", "Range": "bytes=1-2"}) == 200
    reached = store.upstream.seen[0]
    assert (reached.target, reached.headers["Host"]) == (target, store.host)
    assert reached.headers["Range"] == "bytes=1-2"
    assert set(map(str.lower, reached.headers)) == {"host", "authorization", "range", "connection"}


def test_the_answer_arrives_as_the_server_gave_it(store: Guarded):
    store.upstream.status = 206
    store.upstream.headers = {"ETag": '"x"', "Content-Range": "bytes 0-5/9", "Content-Encoding": "gzip"}
    client = http.client.HTTPConnection("127.0.0.1", store.port, timeout=10)
    for method, content in (("GET", b"answer"), ("HEAD", b""), ("GET", b"answer")):
        client.request(method, "/bucket/key")
        with client.getresponse() as answer:
            assert answer.read() == content
            assert (answer.status, answer.headers["Content-Length"], answer.headers["ETag"]) == (206, "6", '"x"')
            assert answer.headers["Content-Encoding"] == "gzip"
    client.close()


def test_uploads_with_and_without_a_known_length_arrive_whole(store: Guarded):
    client = http.client.HTTPConnection("127.0.0.1", store.port, timeout=10)
    client.request("PUT", "/b/k", b"counted", {"Content-Encoding": "gzip"})
    client.getresponse().read()
    client.request(
        "PUT", "/b/k", iter([b"in ", b"chunks"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    client.getresponse().read()
    client.request("PUT", "/b/empty", b"")
    client.getresponse().read()
    client.close()
    assert [reached.body for reached in store.upstream.seen] == [b"counted", b"in chunks", b""]
    assert store.upstream.seen[2].headers["Content-Length"] == "0"
    assert store.upstream.seen[0].headers["Content-Encoding"] == "gzip"


def test_the_server_decides_whether_a_client_that_asks_first_sends_its_content(store: Guarded):
    head = f"PUT /b/k HTTP/1.1\r\nHost: {store.host}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", store.port), 10) as client:
        client.sendall(head)
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"data")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    assert store.upstream.seen[0].body == b"data"

    with socket.create_server(("127.0.0.1", 0)) as server:
        store.place = server.getsockname()[:2]
        with socket.create_connection(("127.0.0.1", store.port), 10) as client:
            client.sendall(head)
            connection, _ = server.accept()
            with connection:
                assert b"100-continue" in connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                answer = client.recv(1000)
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in answer.lower()


def test_a_broken_service_gives_an_error_and_works_again_when_it_is_back(store: Guarded):
    place, store.place = store.place, None
    assert store.ask("GET", "/b/k") == 502
    store.place = ("127.0.0.1", free_port())
    assert store.ask("GET", "/b/k") == 502
    store.place = place
    assert store.ask("GET", "/b/k") == 200


def test_a_download_that_breaks_off_is_not_taken_for_a_whole_one(store: Guarded):
    for part in (b"Content-Length: 1000\r\n\r\npart", b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as server:
            store.place = server.getsockname()[:2]
            client = http.client.HTTPConnection("127.0.0.1", store.port, timeout=10)
            client.request("GET", "/b/k")
            connection, _ = server.accept()
            connection.recv(10_000)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + part)
            connection.close()
            with pytest.raises((http.client.IncompleteRead, ConnectionError)), client.getresponse() as answer:
                answer.read()
            client.close()


def test_an_upload_that_breaks_off_breaks_off_at_the_server_too(store: Guarded):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        store.place = server.getsockname()[:2]
        with socket.create_connection(("127.0.0.1", store.port), 10) as client:
            client.sendall(f"PUT /b/k HTTP/1.1\r\nHost: {store.host}\r\nContent-Length: 1000\r\n\r\npart".encode())
            connection, _ = server.accept()
            received = b""
            while not received.endswith(b"part"):
                received += connection.recv(10_000)
        with connection, suppress(ConnectionError):
            connection.settimeout(10)
            assert connection.recv(10_000) == b""


def test_a_client_that_leaves_ends_the_request_at_the_server(store: Guarded):
    with socket.create_server(("127.0.0.1", 0)) as server:
        store.place = server.getsockname()[:2]
        with socket.create_connection(("127.0.0.1", store.port), 10) as client:
            client.sendall(f"GET /b/k HTTP/1.1\r\nHost: {store.host}\r\n\r\n".encode())
            connection, _ = server.accept()
            connection.recv(10_000)
        with connection:
            connection.settimeout(10)
            assert connection.recv(10_000) == b""


_ENDLESS = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        size = int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        for _ in range(size >> 20):
            self.wfile.write(bytes(1 << 20))
    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
_GUARD = """
import sys, threading
from ops.lib.browser_guard import BrowserGuard
from ops.lib.browser_rules import BrowserRules
port, upstream = map(int, sys.argv[1:])
rules = BrowserRules.of_store(f"http://127.0.0.1:{port}", "http://127.0.0.1:8088")
BrowserGuard(rules, ("127.0.0.1", port), lambda: ("127.0.0.1", upstream)).start()
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux, to measure the memory of a process")
def test_files_of_any_size_pass_in_little_memory():
    size = 512 << 20
    with ExitStack() as opened:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        upstream = opened.enter_context(subprocess.Popen([sys.executable, "-c", _ENDLESS], **pipes))
        opened.callback(upstream.kill)
        port = free_port()
        command = [sys.executable, "-c", _GUARD, str(port), upstream.stdout.readline().strip()]
        guard = opened.enter_context(subprocess.Popen(command, **pipes))
        opened.callback(guard.kill)
        guard.stdout.readline()
        before = _peak(guard.pid)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("GET", f"/{size}")
        received = 0
        with client.getresponse() as answer:
            time.sleep(1)  # a client that does not read yet
            while part := answer.read(1 << 20):
                received += len(part)
        client.request("PUT", "/x", (bytes(1 << 20) for _ in range(size >> 20)), {"Content-Length": str(size)})
        assert client.getresponse().status == 200
        assert received == size
        assert _peak(guard.pid) - before < 32 << 20


def _peak(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def test_two_clients_are_served_at_the_same_time(store: Guarded):
    store.upstream.content = os.urandom(4 << 20)
    received: list[bytes] = []

    def download() -> None:
        client = http.client.HTTPConnection("127.0.0.1", store.port, timeout=30)
        client.request("GET", "/b/k")
        received.append(client.getresponse().read())
        client.close()

    clients = [threading.Thread(target=download) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert received == [store.upstream.content] * 8


def test_the_store_works_with_boto3(store: Guarded):
    client = Client("http://127.0.0.1:1", "dns:///127.0.0.1:1", store.origin, True)
    store.upstream.content = b""

    with client.store("key", "secret") as opened:
        opened.put_object(Bucket="bucket", Key="a b+c/ä", Body=b"data")
    reached = store.upstream.seen[-1]
    assert (reached.target, reached.headers["Host"]) == ("/bucket/a%20b%2Bc/%C3%A4", store.host)
    assert b"data" in reached.body


# Where the browser guard and what is behind it listen.


def test_a_taken_port_is_an_error_and_a_stopped_browser_guard_gives_its_port_back(api: Guarded):
    port = free_port()
    taken = BrowserGuard(BrowserRules.of_api(api.origin), ("127.0.0.1", api.port), lambda: None)
    other = BrowserGuard(BrowserRules.of_api(f"http://127.0.0.1:{port}"), ("127.0.0.1", port), lambda: None)

    with pytest.raises(OSError, match="in use"):
        taken.start()
    other.start()
    other.start()
    other.stop()
    other.stop()
    socket.create_server(("127.0.0.1", port)).close()


def test_stopping_does_not_wait_for_a_client_that_reads_slowly():
    port = free_port()
    upstream = Upstream(content=bytes(64 << 20))
    with upstream.serve() as place:
        guard = BrowserGuard(BrowserRules.of_api(f"http://127.0.0.1:{port}"), ("127.0.0.1", port), lambda: place)
        guard.start()
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(f"GET /b/k HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            begin = time.monotonic()
            guard.stop()
            assert time.monotonic() - begin < 5


def test_a_hidden_place_is_free_and_at_a_port_that_browsers_block():
    host, port = hidden_place()

    assert host.startswith("127.")
    assert port in BLOCKED_PORTS
    with socket.create_server((host, port)):
        wait_until(lambda: socket.create_connection((host, port), 1).close() is None, "the place")


def test_on_a_system_with_one_loopback_address_the_next_blocked_port_is_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    host, port = hidden_place()

    assert host == "127.0.0.1"
    with socket.create_server((host, port)):
        assert hidden_place()[1] not in {port}
    with ExitStack() as taken:
        for blocked in BLOCKED_PORTS:
            with suppress(OSError):
                taken.enter_context(socket.create_server((host, blocked)))
        with pytest.raises(OSError, match="are all in use"):
            hidden_place()


def test_the_grpc_port_accepts_nothing_that_a_browser_can_send():
    called: list[str] = []

    class Recorder(grpc.GenericRpcHandler):
        def service(self, details):
            called.append(details.method)

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Recorder()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    path = "/flyteidl.service.AdminService/CreateExecution"
    request = (
        f"POST {path} HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/grpc\r\nContent-Length: 5\r\n\r\n"
    )
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(request.encode() + bytes(5))
            answer = b""
            with suppress(ConnectionError):
                while part := client.recv(1000):
                    answer += part
        assert not answer.startswith(b"HTTP/1.1 2")
        assert called == []
    finally:
        server.stop(None)

"""The script with which the doctor's pods try connections, against servers of this machine."""

import base64
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from ops.doctor.expectations import FILES, review
from ops.doctor.probes import Attempt
from tests.processes import Workspace, free_port, process, serving, workspace
from tests.scripts.conftest import SCRIPTS, Programs, tools

SCRIPT = str(SCRIPTS / "doctor" / "probe.sh")
PROGRAMS = ("timeout", "bash", "base64", "getent", "openssl", "sleep")
Handler = Callable[..., http.server.BaseHTTPRequestHandler]


@pytest.fixture
def work() -> Iterator[Workspace]:
    with workspace() as made:
        yield made


def seen(work: Workspace, *attempts: Attempt, patience: int = 0, without: str = "") -> list[str]:
    """What the script writes about each attempt, in their order. It finds only the programs that it needs."""
    bash = shutil.which("bash")
    if not bash or (not shutil.which("openssl") and any(one.how == "webhook" for one in attempts)):
        pytest.skip("needs bash and openssl")
    results = work.file("results", "")
    environment = {
        "PATH": str(Programs(work, tools(*(name for name in PROGRAMS if name != without))).path),
        "ATTEMPTS": "\n".join(attempt.line(number) for number, attempt in enumerate(attempts)),
        "PATIENCE": str(patience),
        "RESULTS": str(results),
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(free_port()),
    }
    with process([bash, SCRIPT], environment, work, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        output, errors = started.communicate(timeout=60)
    assert (started.returncode, output, errors) == (0, "", "")
    found = {line.split()[0]: " ".join(line.split()[1:]) for line in results.read_text().splitlines()}
    return [found[str(number)] for number in range(len(attempts))]


def attempt(how: Any, address: str, expected: Any = "either", **more: str) -> Attempt:
    parts = urlsplit(address)
    return Attempt("it", how, str(parts.hostname), parts.port or 0, expected, **more)


def answering(status: int, body: Callable[[], bytes] = lambda: b"{}", got: list[Any] | None = None) -> Handler:
    """A server that answers every request like this, and keeps the requests."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if got is not None:
                got.append((self.path, self.headers["Host"], content))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body())

        do_POST = do_GET  # noqa: N815 (the name that http.server looks for)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    return Answering


def test_open_and_closed_ports_are_told_apart(work: Workspace):
    closed = f"tcp://127.0.0.1:{free_port()}"
    with serving(answering(200)) as address:
        assert seen(
            work,
            attempt("tcp", address),
            attempt("tcp", closed),
            attempt("name", "tcp://localhost:1"),
            attempt("name", "tcp://nowhere.invalid:1"),
            Attempt("it", "tcp", "api-server", 0, "either"),
        ) == ["open", "refused", "open", "silent", "refused"]


def test_the_status_of_an_answer_is_reported_and_its_content_is_not(work: Workspace):
    got: list[Any] = []
    with serving(answering(403, lambda: b"planted", got)) as address:
        assert seen(work, attempt("http", address, path="/bucket/")) == ["open 403"]

    assert got == [("/bucket/", address.removeprefix("http://"), b"")]


def test_a_server_that_accepts_and_says_nothing_is_open(work: Workspace):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert seen(work, attempt("http", address, path="/")) == ["open"]


def test_an_expected_connection_is_tried_until_it_is_open(work: Workspace):
    port = free_port()

    def late() -> None:
        time.sleep(1.5)
        with socket.create_server(("127.0.0.1", port)):
            time.sleep(4)

    thread = threading.Thread(target=late)
    thread.start()
    assert seen(work, attempt("tcp", f"tcp://127.0.0.1:{port}", "open"), patience=8) == ["open"]
    thread.join()


def test_an_unexpected_connection_is_tried_until_it_is_closed(work: Workspace):
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    threading.Timer(1.5, server.close).start()

    assert seen(work, attempt("tcp", f"tcp://127.0.0.1:{port}", "closed"), patience=8) == ["refused"]


def test_a_connection_that_is_cut_while_it_is_tried_is_tried_again(work: Workspace):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        kept = []

        def accept() -> None:
            kept.extend(server.accept()[0] for _ in range(2))  # to see whether it is open, and for the request
            server.close()

        thread = threading.Thread(target=accept)
        thread.start()
        asked = attempt("webhook", f"tcp://127.0.0.1:{port}", "closed", path="/", server="it", body="{}")
        assert seen(work, asked, patience=2) == ["refused"]
        thread.join()


PREFIX = b'{"name":"FLYTE_SECRETS_ENV_PREFIX","value":"_FSEC_"}'
NAME = b'"name":"_FSEC_../FLYTE/CONFIG.D_202-DATABASE.YAML"'
CONTENT = b'[{"op":"add","path":"/spec/containers/0/env","value":[%s,{%s,"value":"planted: content"}]}]' % (
    PREFIX,
    NAME,
)
REFERENCE = b'[{"op":"add","path":"/spec/containers/0/env","value":[%s,{%s,"valueFrom":{"secretKeyRef":{}}}]}]' % (
    PREFIX,
    NAME,
)


def reviewed(patch: bytes | None) -> bytes:
    """The answer of Flyte's webhook with this patch; without one, a rejection."""
    response: dict[str, Any] = {"uid": "1", "allowed": patch is not None}
    if patch is not None:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
    content = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response}
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (reviewed(CONTENT), "open content"),
        (reviewed(REFERENCE), "open nothing"),
        (reviewed(None), "open nothing"),
        (b"404 page not found", "open unknown"),
    ],
    ids=["file", "reference", "rejection", "another server"],
)
def test_the_webhook_is_asked_for_a_file_as_the_api_server_would_ask(work: Workspace, answer: bytes, result: str):
    got: list[Any] = []
    body = review(*FILES["the password of the database"])
    wanted = {"path": "/mutate--v1-pod", "server": "flyte-binary-webhook.flyte.svc", "body": body}
    with serving(answering(200, lambda: answer, got), trustme.CA()) as address:
        assert seen(work, attempt("webhook", address, **wanted)) == [result]

    assert got == [("/mutate--v1-pod", "flyte-binary-webhook.flyte.svc", body.encode())]
    assert json.loads(got[0][2])["request"]["operation"] == "CREATE"


def test_without_openssl_the_webhook_is_not_tested(work: Workspace):
    with serving(answering(200), trustme.CA()) as address:
        asked = attempt("webhook", address, path="/", server="it", body="{}")
        assert seen(work, asked, without="openssl") == ["open untested"]

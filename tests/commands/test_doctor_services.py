"""The doctor's checks of the services: their endpoints, the database, the API, buckets, signed addresses and gRPC."""

import base64
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from ops.doctor import addresses, grpc_api
from ops.doctor.addresses import check_address
from ops.doctor.buckets import check_buckets
from ops.doctor.check import Result
from ops.doctor.flyte_api import check_api, check_login
from ops.doctor.grpc_api import check_grpc
from ops.doctor.servers import check_database
from ops.doctor.signed_address import check_signed_address
from ops.doctor.stack import Stack
from ops.lib import port_holder
from ops.lib.client import Client
from ops.lib.client_endpoints import client_endpoints
from ops.lib.forwards import Forwards
from tests.conftest import UID
from tests.kubectl import AUTH, FakeCluster, KubectlProgram, examined, states, with_login
from tests.processes import free_port, serving

KEY, SECRET = "planted-access", "planted-secret"


def at(stack: Stack, **addresses: Any) -> Stack:
    """The same stack at other addresses."""
    stack.client = replace(stack.client, **addresses)
    return stack


# --- endpoints ----------------------------------------------------------------------------------------------------


@pytest.fixture
def local(kubectl_program: KubectlProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack whose addresses are free ports of this machine."""
    monkeypatch.setattr(port_holder, "FOLDER", tmp_path / "client")
    monkeypatch.setattr(addresses, "holder_of", lambda stack: port_holder.holder_of(stack, tmp_path / "client"))
    endpoints = {
        "http": f"http://127.0.0.1:{free_port()}",
        "grpc": f"dns:///127.0.0.1:{free_port()}",
        "objectStore": f"http://127.0.0.1:{free_port()}",
    }
    return examined(clientEndpoints=endpoints)


def forwards_of(stack: Stack, uid: str = UID) -> Forwards:
    return Forwards("make connect", stack.name, uid, stack.cluster, "flyte", stack.client, port_holder.FOLDER)


def test_a_missing_port_forward_is_opened_while_the_doctor_runs(local: Stack):
    endpoint = client_endpoints(local.client)[0]
    with forwards_of(local) as own:
        (said,) = check_address(local, endpoint, own)
        assert endpoint.listening
    assert said.state == "ok"
    assert not endpoint.listening


def test_the_port_forwards_of_make_connect_are_used(local: Stack):
    endpoint = client_endpoints(local.client)[0]
    with forwards_of(local):
        (said,) = check_address(local, endpoint, None)

    assert said.state == "ok"
    assert "which make connect (process" in said.says


def test_port_forwards_to_another_cluster_are_not_used(local: Stack):
    with forwards_of(local, "another"):
        (said,) = check_address(local, client_endpoints(local.client)[0], None)

    assert said.state == "wrong"
    assert "make connect (process" in said.says


def test_a_port_taken_by_another_process_is_wrong_and_gets_no_request(local: Stack):
    endpoint = client_endpoints(local.client)[0]
    with socket.create_server(("127.0.0.1", endpoint.local_port)), forwards_of(local) as own:
        (said,) = check_address(local, endpoint, own)

    assert said.state == "wrong"
    assert f"port {endpoint.local_port} of this machine is taken by something else" in said.says


def test_an_endpoint_of_a_service_without_a_pod_is_wrong(local: Stack, kubectl_program: KubectlProgram):
    kubectl_program.mark("broken", "minio")
    with forwards_of(local) as own:
        (said,) = check_address(local, client_endpoints(local.client)[2], own)

    assert (said.state, said.says) == ("wrong", "cannot reach service/minio: minio has no running pod")


def test_an_endpoint_on_another_machine_needs_a_server_but_no_port_forward():
    stack = at(examined(), http="https://flyte.invalid")
    (said,) = check_address(stack, client_endpoints(stack.client)[0], None)

    assert said.state == "wrong"
    assert (
        "clientEndpoints.http: https://flyte.invalid cannot be reached: its name cannot be resolved here" in said.says
    )


def test_an_endpoint_on_another_machine_needs_a_certificate_that_clients_trust():
    hosts = {"console": "flyte.home.example", "objectStore": "s3.home.example"}
    authority = trustme.CA()
    with serving(Plain, authority) as address:
        ingress = {"controller": "traefik", "hosts": hosts, "withoutLogin": {"reason": "a test"}}
        stack = at(examined(ingress=ingress), http=address.rstrip("/"))
        (said,) = check_address(stack, client_endpoints(stack.client)[0], None)
        assert said.state == "wrong"
        assert said.says.startswith(f"flyte-home:ingress.hosts.console: {address.rstrip('/')} cannot be reached: TLS:")
        assert said.remedy.startswith("openssl s_client -connect 127.0.0.1:")

        stack = at(stack, ca_certificate=authority.cert_pem.bytes().decode())
        assert states(list(check_address(stack, client_endpoints(stack.client)[0], None))) == ["ok"]


# --- login --------------------------------------------------------------------------------------------------------


def logging_in(secret: str, accepted: str, status: int = 401) -> tuple[list[Result], Stack]:
    """Check a Flyte that accepts one client secret, and answers requests without a token with ``status``."""

    class Flyte(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def do_POST(self) -> None:
            basic = base64.b64encode(f"flytepropeller:{accepted}".encode()).decode()
            known = self.path == "/oauth2/token" and self.headers["Authorization"] == f"Basic {basic}"
            self.send_response(200 if known else 401)
            self.end_headers()
            self.wfile.write(b'{"access_token": "planted-token"}' if known else b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Flyte) as address:
        stack = examined(with_login(secret), auth=AUTH, oidcClientSecret="planted-oidc-secret")
        return list(check_login(at(stack, http=address))), stack


def test_the_doctor_stays_logged_in_after_a_successful_login():
    (said,), stack = logging_in("planted-client-secret", "planted-client-secret")

    assert said.state == "ok"
    assert stack.client.token == "planted-token"
    assert "planted" not in said.says


def test_a_client_secret_that_flyte_rejects_is_wrong():
    (said,), stack = logging_in("planted-client-secret", "another")

    assert said.state == "wrong"
    assert "rejects the secret of its own client flytepropeller (HTTP 401)" in said.says
    assert "planted" not in said.says + said.remedy
    assert not stack.client.token


def test_a_flyte_that_answers_without_the_configured_login_is_wrong():
    (said,), _ = logging_in("planted-client-secret", "planted-client-secret", status=200)

    assert said.state == "wrong"
    assert "answers without a login" in said.says


# --- database and API ---------------------------------------------------------------------------------------------


def test_a_failed_database_login_is_quoted_without_kubectls_own_line():
    cluster = FakeCluster()
    cluster.on(
        "exec", error='FATAL: password authentication failed for user "flyte"\ncommand terminated with exit code 2'
    )
    (said,) = check_database(examined(cluster))

    assert said.says == 'the login of Flyte\'s role fails: FATAL: password authentication failed for user "flyte"'
    assert "delete pod postgres-0" in said.remedy

    cluster.on("exec postgres-0 /scripts/login.sh", "1")
    assert states(list(check_database(examined(cluster)))) == ["ok"]


@contextmanager
def answering(answers: dict[str, tuple[int, Any]]) -> Iterator[str]:
    """A server that answers with these statuses and contents, by method and path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            status, content = answers.get(f"{self.command} {self.path.split('?')[0]}", (404, ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content if isinstance(content, bytes) else json.dumps(content).encode())

        do_GET = do_PUT = do_POST = answer  # noqa: N815 (the names that http.server looks for)

        def log_message(self, *_args: Any) -> None:
            pass

    with serving(Handler) as address:
        yield address


@pytest.mark.parametrize(
    ("status", "content", "state", "says"),
    [
        (200, {"projects": [{"id": "remedy"}]}, "ok", " has remedy"),
        (200, {"projects": [{"id": "another"}]}, "wrong", "Flyte does not have the project remedy"),
        (200, b"<html>", "wrong", "is not Flyte"),
        (200, ["a list"], "wrong", "is not Flyte"),
        (500, {}, "wrong", "answers with HTTP 500"),
        (401, {}, "wrong", "answers with HTTP 401"),
    ],
)
def test_flytes_api_must_have_the_projects(status: int, content: Any, state: str, says: str):
    with answering({"GET /api/v1/projects": (status, content)}) as address:
        (said,) = check_api(at(examined(), http=address))

    assert said.state == state
    assert says in said.says


def test_an_api_that_does_not_answer_is_reported_with_its_address():
    (said,) = check_api(at(examined(), http=f"http://127.0.0.1:{free_port()}"))

    assert said.state == "wrong"
    assert "nothing listens there" in said.says


# --- buckets ------------------------------------------------------------------------------------------------------


def with_key(key: dict[str, str] | None = None) -> Stack:
    cluster = FakeCluster()
    values = {"FLYTE_AWS_ACCESS_KEY_ID": KEY, "FLYTE_AWS_SECRET_ACCESS_KEY": SECRET} if key is None else key
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    cluster.on("get secret", {"items": [{"metadata": {"name": "flyte-object-store"}, "data": data}]})
    cluster.on("get --namespace=flyte", {"items": [{"kind": "Job", "metadata": {"name": "minio-provision-1"}}]})
    return examined(cluster)


def s3(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode()


EMPTY = b"<?xml version='1.0'?><ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"


@pytest.mark.parametrize(
    ("status", "content", "state", "says"),
    [
        (200, EMPTY, "ok", "remedy-development"),
        (404, s3("NoSuchBucket"), "wrong", "missing bucket: remedy-development"),
        (403, s3("InvalidAccessKeyId"), "wrong", "wrong key: the store rejects the key of remedy-development"),
        (403, s3("SignatureDoesNotMatch"), "wrong", "wrong key: the store rejects the key of remedy-development"),
        (403, s3("AccessDenied"), "wrong", "is right, but may not open its bucket"),
        (503, s3("SlowDown"), "wrong", "cannot be opened: SlowDown"),
    ],
)
def test_a_missing_bucket_a_wrong_key_and_missing_rights_are_distinguished(
    status: int, content: bytes, state: str, says: str
):
    with answering({"GET /remedy-development": (status, content)}) as address:
        (said,) = check_buckets(at(with_key(), object_store=address))

    assert said.state == state
    assert says in said.says
    assert "planted" not in said.says + said.remedy


def test_a_missing_object_store_is_not_reachable():
    (said,) = check_buckets(at(with_key(), object_store=f"http://127.0.0.1:{free_port()}"))

    assert said.says.startswith("not reachable: the object store at http://127.0.0.1:")


def test_the_message_names_a_task_namespace_without_a_key():
    (said,) = check_buckets(with_key({}))

    assert said.says == "there is no key: the Secret flyte-object-store in remedy-development is missing or empty"
    assert said.remedy == "make up STACK=dev"


# --- signed addresses ---------------------------------------------------------------------------------------------


class Signing(http.server.BaseHTTPRequestHandler):
    """Flyte and the object store on one server: it signs every request, and stores every upload."""

    kept: dict[str, bytes]
    host: str
    refusal: bytes
    changed: bytes

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        url = (
            f"http://{self.host or self.headers['Host']}/{asked['filename_root']}/{asked['filename']}?Signature=planted"
        )
        # Like Flyte, it gives the length of the checksum as the length of the content.
        headers = {"Content-Length": "24", "Content-MD5": asked["content_md5"]}
        self.reply({"signed_url": url, "native_url": "s3://flyte/x", "headers": headers})

    def do_GET(self) -> None:
        if self.path.startswith("/api"):
            self.reply({"signed_url": f"http://{self.headers['Host']}/flyte-home-doctor/flyte-home-doctor"})
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.changed or self.kept[self.path])

    def do_PUT(self) -> None:
        self.kept[self.path.split("?")[0]] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403 if self.refusal else 200)
        self.end_headers()
        self.wfile.write(self.refusal)

    def reply(self, content: Any) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_args: Any) -> None:
        pass


def signed(host: str = "", refusal: bytes = b"", changed: bytes = b"") -> tuple[Result, dict[str, bytes]]:
    kept: dict[str, bytes] = {}
    behaviour = {"kept": kept, "host": host, "refusal": refusal, "changed": changed}
    with serving(type("Behaving", (Signing,), behaviour)) as address:
        (said,) = check_signed_address(at(examined(), http=address, object_store=address))
    assert "planted" not in said.says + said.remedy
    return said, kept


def test_a_signed_upload_can_be_downloaded_and_leaves_one_object():
    said, kept = signed()

    assert said.state == "ok"
    assert kept == {"/flyte-home-doctor/flyte-home-doctor": b"make doctor was here\n"}


def test_an_upload_signed_for_an_unreachable_host_is_reported_with_the_host():
    said, _ = signed(host="minio.flyte.svc.invalid:9000")

    assert said.state == "wrong"
    assert (
        "signed for minio.flyte.svc.invalid:9000, which cannot be reached from here: its name cannot be resolved"
        in said.says
    )
    assert "but flyte-home:clientEndpoints.objectStore is http://127.0.0.1:" in said.says
    assert said.remedy == "make up STACK=dev"


def test_a_rejected_upload_is_reported_with_host_and_reason():
    said, _ = signed(refusal=s3("SignatureDoesNotMatch"))

    assert "rejects it: HTTP 403 SignatureDoesNotMatch; something in between changes the host" in said.says


def test_content_that_changes_in_between_is_detected():
    assert "comes back changed" in signed(changed=b"a page of an ingress")[0].says


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (
            {"POST /api/v1/dataproxy/artifact_urn": (500, {"message": "the store is away"})},
            "HTTP 500: the store is away",
        ),
        ({"POST /api/v1/dataproxy/artifact_urn": (502, b"<html>")}, "HTTP 502: no message"),
        ({"POST /api/v1/dataproxy/artifact_urn": (200, b"<html>")}, "is not Flyte"),
    ],
)
def test_a_flyte_that_signs_nothing_is_quoted(answers: dict[str, Any], says: str):
    with answering(answers) as address:
        (said,) = check_signed_address(at(examined(), http=address, object_store=address))

    assert says in said.says


def test_a_flyte_that_does_not_answer_signs_nothing():
    (said,) = check_signed_address(at(examined(), http=f"http://127.0.0.1:{free_port()}"))

    assert "Flyte's API does not answer" in said.says


# --- gRPC ---------------------------------------------------------------------------------------------------------


class Plain(http.server.BaseHTTPRequestHandler):
    """An HTTP/1.1 server, like an ingress without h2c."""

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def flyte(refusal: grpc.StatusCode | None = None, unknown: bool = False, tls: Any = None) -> Iterator[str]:
    """A gRPC server that answers every method, rejects every call, or has no methods."""

    class Answering(grpc.GenericRpcHandler):
        def service(self, _details: Any) -> Any:
            def answer(_request: Any, context: Any) -> bytes:
                if refusal:
                    context.abort(refusal, "planted-token is not valid")
                return b""

            return None if unknown else grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[Answering()])
    port = server.add_secure_port("127.0.0.1:0", tls) if tls else server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"dns:///127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def asked(address: str, insecure: bool = True, authority: str = "") -> Result:
    (said,) = check_grpc(at(examined(), grpc=address, insecure=insecure, ca_certificate=authority))
    return said


def test_a_grpc_api_that_answers_is_ok():
    with flyte() as address:
        assert asked(address).state == "ok"


def test_without_a_listener_there_is_no_tcp_connection():
    said = asked(f"dns:///127.0.0.1:{free_port()}")

    assert said.says.startswith("no TCP connection to dns:///127.0.0.1:")
    assert said.says.endswith("nothing listens there")


def test_a_required_login_without_the_setting_is_wrong():
    with flyte(grpc.StatusCode.UNAUTHENTICATED) as address:
        said = asked(address)

    assert said.state == "wrong"
    assert "requires a login, but flyte-home:auth has no issuer" in said.says


def test_a_server_other_than_flyte_is_reported_as_an_http_answer():
    with flyte(unknown=True) as address:
        assert "an HTTP answer instead of gRPC" in asked(address).says
    with serving(Plain) as address:
        said = asked(address.replace("http://", "dns:///"))
    assert "an HTTP answer instead of gRPC" in said.says
    assert "h2c" in said.says


def test_an_error_page_over_http_2_is_reported_as_an_http_answer():
    said = grpc_api._refusal(
        examined(), grpc.StatusCode.UNAVAILABLE, "Received http2 header with status: 502", "flyte-home:x: dns:///x:1"
    )

    assert "an HTTP answer instead of gRPC (Received http2 header with status: 502)" in said.says


def test_failures_of_tls_are_distinguished():
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
    with flyte(tls=credentials) as address:
        assert asked(address, insecure=False, authority=authority.cert_pem.bytes().decode()).state == "ok"
        assert "TLS: this machine does not trust its certificate" in asked(address, insecure=False).says
        assert "if it speaks TLS, set flyte-home:clientEndpoints.insecure to false" in asked(address).says
    with flyte() as address:
        assert "TLS: the server speaks no TLS" in asked(address, insecure=False).says
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        said = asked(f"dns:///127.0.0.1:{server.server_port}", False, authority.cert_pem.bytes().decode())
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert "an HTTP answer instead of gRPC" in said.says


def test_a_silent_server_is_reported_as_not_answering(monkeypatch: pytest.MonkeyPatch):
    ask = Client.flyte_answers
    monkeypatch.setattr(Client, "flyte_answers", lambda self: ask(self, 0.5))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "something listens, but does not answer" in asked(f"dns:///127.0.0.1:{silent.getsockname()[1]}").says


def test_any_other_grpc_error_is_quoted():
    with flyte(grpc.StatusCode.INTERNAL) as address:
        assert ": INTERNAL: " in asked(address).says

"""The client of a stack: what counts as an answer, and how a missing answer is reported."""

import http.server
import socket
import threading
from pathlib import Path

import pytest
import trustme
import yaml

from ops.lib.client import Client, NoAnswerError
from tests.kubectl import settings
from tests.processes import free_port, serving

PLAIN = Client("", "", "", True)


class Hello(http.server.BaseHTTPRequestHandler):
    """Answers with its method, and at /elsewhere with a redirection."""

    def do_GET(self) -> None:
        self.send_response({"/elsewhere": 302, "/none": 404}.get(self.path, 200))
        self.send_header("Location", "/")
        self.end_headers()
        self.wfile.write(self.command.encode())

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, *_args: object) -> None:
        pass


def test_the_client_has_the_addresses_of_the_settings():
    client = Client.of(settings(clientEndpoints={"http": "https://flyte.home", "insecure": False}))

    assert (client.http, client.grpc, client.object_store) == (
        "https://flyte.home",
        "dns:///127.0.0.1:8089",
        "http://127.0.0.1:9000",
    )
    assert client.console == "https://flyte.home/console"
    assert client.setting("http") == "flyte-home:clientEndpoints.http"


def test_the_client_of_an_ingress_has_its_addresses_and_its_authority(tmp_path: Path):
    authority = trustme.CA().cert_pem.bytes().decode()
    hosts = {"console": "flyte.home.example", "objectStore": "s3.home.example"}
    ingress = {
        "controller": "traefik",
        "hosts": hosts,
        "withoutLogin": {"reason": "a test"},
        "tls": {"caCertificate": authority},
    }
    client = Client.of(settings(ingress=ingress))
    file = tmp_path / "client" / "dev.yaml"

    client.write_config(file)

    admin = yaml.safe_load(file.read_text())["admin"]
    assert admin["endpoint"] == "dns:///flyte.home.example:443"
    assert admin["insecure"] is False
    assert Path(admin["caCertFilePath"]).read_text() == authority
    assert client.setting("objectStore") == "flyte-home:ingress.hosts.objectStore"
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_token_is_sent_only_to_flytes_api_and_never_shown():
    seen: dict[str, str | None] = {}

    class Api(Hello):
        def do_GET(self) -> None:
            seen[self.path] = self.headers["Authorization"]
            super().do_GET()

    with serving(Api) as address:
        client = Client(address, "", "", True).with_token("planted-token")
        client.request(f"{address}/api/v1/projects")
        client.request(f"{address}/bucket/file?X-Amz-Signature=1")

    assert seen == {"/api/v1/projects": "Bearer planted-token", "/bucket/file?X-Amz-Signature=1": None}
    assert "planted-token" not in repr(client)


def test_errors_and_redirections_count_as_answers():
    with serving(Hello) as address:
        assert PLAIN.request(address).body == b"GET"
        assert PLAIN.request(address, "PUT", b"content").body == b"PUT"
        assert PLAIN.request(f"{address}/none").status == 404
        assert PLAIN.request(f"{address}/elsewhere").status == 302
        assert not PLAIN.request(f"{address}/elsewhere").ok


def test_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")

    with serving(Hello) as address:
        assert PLAIN.request(address).ok


def test_a_server_with_a_private_authority_is_trusted_only_with_its_certificate():
    authority = trustme.CA()
    own = Client("", "", "", False, authority.cert_pem.bytes().decode())
    with serving(Hello, authority) as address:
        assert own.request(address).ok
        with pytest.raises(NoAnswerError, match="TLS: its certificate is not accepted"):
            PLAIN.request(address)
        with pytest.raises(NoAnswerError, match="without an answer"):
            PLAIN.request(address.replace("https", "http"))


def test_a_missing_answer_is_reported_with_the_reason():
    with serving(Hello) as address, pytest.raises(NoAnswerError, match="TLS: "):
        PLAIN.request(address.replace("http", "https"))
    with pytest.raises(NoAnswerError, match="nothing listens there"):
        PLAIN.request(f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(NoAnswerError, match=r"cannot be resolved here \(DNS\)"):
        PLAIN.request("http://flyte.invalid/")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(NoAnswerError, match="no answer within 1 s"),
    ):
        PLAIN.request(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=1)


def test_a_server_of_another_protocol_is_reported_as_not_http():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.home ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(NoAnswerError, match="is not HTTP"):
            PLAIN.request(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()


def test_no_message_contains_the_key_in_a_signed_address():
    with pytest.raises(NoAnswerError) as failed:
        PLAIN.request(f"http://127.0.0.1:{free_port()}/bucket?X-Amz-Signature=planted")

    assert "planted" not in str(failed.value)


@pytest.mark.parametrize("address", ["dns:///127.0.0.1:{}", "http://127.0.0.1:{}"])
def test_an_address_is_reachable_if_something_listens_there(address: str):
    with socket.create_server(("127.0.0.1", 0)) as server:
        PLAIN.reach(address.format(server.getsockname()[1]))
    with pytest.raises(NoAnswerError, match="nothing listens"):
        PLAIN.reach(address.format(free_port()))

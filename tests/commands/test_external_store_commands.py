"""What the commands do for an object store that is not in the cluster."""

import base64
import http.server
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import certifi
import pytest
import trustme
import yaml

from ops.doctor.buckets import check_buckets
from ops.doctor.expectations import DNS, Surroundings, sources
from ops.doctor.servers import servers_of
from ops.lib.client import Client, NoAnswerError
from ops.lib.client_endpoints import client_endpoints
from ops.lib.store_keys import rejected_users
from ops.rotate import next_generations
from settings.errors import SettingsError
from tests.commands.test_client import Hello
from tests.conftest import run
from tests.external_store import AUTHORITY, ENDPOINT, external, iam
from tests.kubectl import FakeCluster, examined, settings, states
from tests.processes import serving


def client(**changed: Any) -> Client:
    return Client.of(settings(**changed))


# --- endpoints ----------------------------------------------------------------------------------------------------


def test_no_port_forward_leads_to_an_external_store_even_on_this_machine():
    endpoints = client_endpoints(client(**external(clientEndpoint="http://127.0.0.1:9100")))

    assert [one.setting for one in endpoints if one.forwarded] == ["http", "grpc"]
    assert endpoints[2].address == "http://127.0.0.1:9100"


def test_the_outputs_name_no_service_and_no_port_forward_of_an_external_store():
    outputs = run(**external(clientEndpoint="http://127.0.0.1:9100")).outputs

    assert set(outputs["services"]) == {"http", "grpc"}
    assert len(outputs["portForwards"]) == 2


def test_a_private_authority_of_the_store_is_trusted_for_the_store_only():
    authority = trustme.CA()
    with serving(Hello, authority) as address:
        of_store = client(
            **external(
                endpoint=ENDPOINT, clientEndpoint=address, certificateAuthority=authority.cert_pem.bytes().decode()
            )
        )
        assert of_store.request(f"{address}/bucket/key").ok
        with pytest.raises(NoAnswerError, match="TLS"):
            client(**external(), clientEndpoints={"http": address}).request(address)


@pytest.mark.parametrize(
    ("changed", "public"),
    [
        (external(certificateAuthority=AUTHORITY), False),
        ({**external(certificateAuthority=AUTHORITY), "clientEndpoints": {"insecure": False}}, True),
    ],
    ids=["Flyte without TLS", "Flyte with a certificate of a public authority"],
)
def test_the_clients_of_flyte_trust_the_authorities_of_flyte_and_of_the_store(
    tmp_path: Path, changed: dict[str, Any], public: bool
):
    client(**changed).write_config(tmp_path / "dev.yaml")

    admin = yaml.safe_load((tmp_path / "dev.yaml").read_text())["admin"]
    certificates = Path(admin["caCertFilePath"]).read_text()
    assert AUTHORITY.strip() in certificates
    assert (certifi.contents().strip() in certificates) == public


def test_without_a_private_authority_the_clients_trust_what_their_system_does(tmp_path: Path):
    client(**external()).write_config(tmp_path / "dev.yaml")

    assert "caCertFilePath" not in yaml.safe_load((tmp_path / "dev.yaml").read_text())["admin"]


# --- the doctor ---------------------------------------------------------------------------------------------------


def test_the_doctor_looks_for_no_server_of_the_store():
    assert servers_of(settings()) == ["postgres", "minio", "flyte"]
    assert servers_of(settings(**external())) == ["postgres", "flyte"]


def test_the_doctor_resolves_a_service_that_is_there():
    for changed, name in (({}, "minio.flyte.svc"), (external(), "flyte-binary-http.flyte.svc")):
        chosen = settings(**changed)
        task, _ = sources(chosen, chosen.task_scopes[0], Surroundings({}, [], [], "webhook", "/"))
        assert [one.host for one in task.attempts if one.what == DNS] == [name]


class S3(http.server.BaseHTTPRequestHandler):
    """A store in which each key opens the buckets that a test has listed for it."""

    opens: ClassVar[dict[str, set[str]]] = {}
    rejection = "AccessDenied"

    def do_GET(self) -> None:
        user = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        region = self.headers["Authorization"].split("/")[2]
        bucket = self.path.partition("?")[0].strip("/")
        body = b"<ListBucketResult><Name>b</Name></ListBucketResult>"
        status = 200
        if bucket not in self.opens.get(user, set()) or region != "eu-home":
            status, body = 403, f"<Error><Code>{self.rejection}</Code></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def opening(opens: dict[str, set[str]], rejection: str = "AccessDenied") -> Iterator[str]:
    handler = type("Handler", (S3,), {"opens": opens, "rejection": rejection})
    with serving(handler) as address:
        yield address


def cluster_with_keys() -> FakeCluster:
    cluster = FakeCluster()
    for domain in ("development", "production"):
        content = {"FLYTE_AWS_ACCESS_KEY_ID": domain, "FLYTE_AWS_SECRET_ACCESS_KEY": "planted-secret"}
        data = {name: base64.b64encode(value.encode()).decode() for name, value in content.items()}
        secret = {"metadata": {"name": "flyte-object-store"}, "data": data}
        cluster.on(f"get secret --namespace=remedy-{domain}", {"items": [secret]})
    return cluster


_OWN = {"development": {"remedy-development"}, "production": {"remedy-production"}}
_EVERYTHING = {one: set.union(*_OWN.values()) for one in _OWN}
_NOT_PRODUCTION: dict[str, set[str]] = {**_OWN, "production": set()}


@pytest.mark.parametrize(
    ("opens", "rejection", "expected", "says", "remedy"),
    [
        (_OWN, "", ["ok"], "remedy-development, remedy-production", ""),
        (_EVERYTHING, "", ["remark", "remark", "ok"], "also opens the bucket remedy-production", ""),
        (_NOT_PRODUCTION, "NoSuchBucket", ["wrong"], "missing bucket: remedy-production", "docs/outgrowing.md"),
        (_NOT_PRODUCTION, "AccessDenied", ["wrong"], "may not open its bucket", "docs/outgrowing.md"),
        (_NOT_PRODUCTION, "SignatureDoesNotMatch", ["wrong"], "wrong key", "objectStoreKey-remedy-production"),
    ],
)
def test_the_doctor_opens_the_buckets_of_the_store_at_its_own_address(
    opens: dict[str, set[str]], rejection: str, expected: list[str], says: str, remedy: str
):
    with opening(opens, rejection or "AccessDenied") as address:
        changed = external("development", "production", clientEndpoint=address, region="eu-home")
        said = list(check_buckets(examined(cluster_with_keys(), **changed)))

    assert states(said) == expected
    assert says in said[0].says
    assert remedy in said[0].remedy
    assert "planted" not in str(said)


def test_a_store_that_does_not_answer_is_not_looked_for_in_the_cluster():
    changed = external("development", "production", clientEndpoint="http://127.0.0.1:9")
    said = list(check_buckets(examined(cluster_with_keys(), **changed)))

    assert states(said) == ["wrong", "wrong"]
    assert said[0].remedy == "curl -v http://127.0.0.1:9"


def test_buckets_that_roles_open_are_not_tried():
    (said,) = check_buckets(examined(**iam()))

    assert said.state == "ok"
    assert "roles of AWS" in said.says


# --- other commands -----------------------------------------------------------------------------------------------


def test_make_up_repairs_no_keys_of_an_external_store():
    assert rejected_users(FakeCluster(), "flyte", client(**external()), "flyte") == []


def test_keys_that_are_settings_have_no_generation_to_raise():
    chosen = settings(**external())

    assert not {name for name in next_generations(chosen, []) if name.startswith("minio")}
    with pytest.raises(SettingsError, match=r"minioTasks has nothing to rotate: .*objectStoreKey"):
        next_generations(chosen, ["minioTasks"])

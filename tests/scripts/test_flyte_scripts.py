"""The script that tells Flyte where tasks store their data, against a server that answers like Flyte."""

import base64
import http.server
import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.processes import Workspace, free_port, process, serving, workspace
from tests.scripts.conftest import SCRIPTS, Programs, tools

LIST = "/api/v1/matchable_attributes?resource_type=WORKFLOW_EXECUTION_CONFIG"
SCRIPT = str(SCRIPTS / "flyte" / "raw-outputs.sh")


@dataclass
class Flyte:
    """A stand-in for Flyte: what it has received, and how it answers."""

    # Bodies of the accepted requests, by path.
    put: dict[str, Any] = field(default_factory=dict)
    # Configurations that it already has, as in its response.
    configurations: list[dict[str, Any]] = field(default_factory=list)
    # Number of all requests by method.
    requests: Counter[str] = field(default_factory=Counter)
    # Statuses of the next responses; 200 after these.
    answers: list[int] = field(default_factory=list)
    # Secret of the client if a login is required, and whether a token is issued for it.
    secret: str = ""
    gives_tokens: bool = True
    # Answer to a request for all configurations; empty: those that it has.
    listing: str = ""

    def handler(self, *arguments: Any) -> http.server.BaseHTTPRequestHandler:
        flyte = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.path == LIST
                if self.accepts():
                    # The library of Flyte writes some spaces, or none.
                    separators = (", ", ":") if len(flyte.configurations) % 2 else (",", ":")
                    found = json.dumps({"configurations": flyte.configurations}, separators=separators)
                    self.wfile.write((flyte.listing or found).encode())

            def do_PUT(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.accepts():
                    flyte.put[self.path] = body
                    self.wfile.write(b"{}")

            def accepts(self) -> bool:
                flyte.requests[self.command] += 1
                status = flyte.answers.pop(0) if flyte.answers else 200
                if flyte.secret and self.headers["Authorization"] != "Bearer token-1":
                    status = 401
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", self.path)
                self.end_headers()
                if status != 200:
                    self.wfile.write(b'{"error": "of flyte"}')
                return status == 200

            def do_POST(self) -> None:
                """Answer a client like Flyte's own authorization server."""
                flyte.requests["POST"] += 1
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                basic = base64.b64encode(f"flytepropeller:{flyte.secret}".encode()).decode()
                known = self.headers["Authorization"] == f"Basic {basic}" and "client_credentials" in form
                assert self.path == "/oauth2/token"
                self.send_response(200 if known else 401)
                self.end_headers()
                token = {"access_token": "token-1", "expires_in": 1799} if known and flyte.gives_tokens else {}
                self.wfile.write(json.dumps(token or {"error": "of the login"}, separators=(",", ":")).encode())

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        return Handler(*arguments)


@pytest.fixture
def work() -> Iterator[Workspace]:
    with workspace() as made:
        yield made


def run(work: Workspace, address: str, outputs: str, wait: int = 20, secret: str = "") -> tuple[int, str, str]:
    """Exit code, output and errors of the script. It finds only the programs that it needs."""
    if not shutil.which("perl"):
        pytest.skip("needs perl")
    parts = urlsplit(address)
    environment = {
        "PATH": str(Programs(work, tools("perl")).path),
        "FLYTE_HOST": str(parts.hostname),
        "FLYTE_PORT": str(parts.port),
        "OUTPUTS": str(work.file("outputs", outputs)),
        "WAIT": str(wait),
    }
    if secret:
        # As Kubernetes mounts it, without a newline at the end.
        environment |= {"CLIENT_ID": "flytepropeller", "CLIENT_SECRET_FILE": str(work.file("client_secret", secret))}
    with process(["/bin/sh", SCRIPT], environment, work, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        output, errors = started.communicate(timeout=60)
    return started.returncode, output, errors


def attributes(project: str, domain: str, prefix: str) -> dict[str, Any]:
    config = {"workflow_execution_config": {"raw_output_data_config": {"output_location_prefix": prefix}}}
    return {"attributes": {"project": project, "domain": domain, "matching_attributes": config}}


def configuration(project: str, domain: str, prefix: str | None, workflow: str = "") -> dict[str, Any]:
    """A configuration, with the fields in the order in which Flyte writes them."""
    raw = {"output_location_prefix": prefix} if prefix else None
    labels = {"values": {"domain": "d-dev", "project": "a"}}
    config = {"max_parallelism": 7, "security_context": None, "raw_output_data_config": raw, "labels": labels}
    place = {"domain": domain, "project": project, "workflow": workflow, "launch_plan": "", "org": ""}
    return {"attributes": {"workflow_execution_config": config}, **place}


def test_every_task_scope_is_configured_in_flyte(work: Workspace):
    flyte = Flyte()
    with serving(flyte.handler) as address:
        code, output, errors = run(work, address, "a d-dev s3://a-d-dev/data\nb d-dev s3://b-d-dev/data\n")

    assert (code, errors) == (0, "")
    assert flyte.put == {
        f"/api/v1/project_domain_attributes/{project}/d-dev": attributes(project, "d-dev", f"s3://{project}-d-dev/data")
        for project in "ab"
    }
    assert "raw-outputs: tasks of b in d-dev put their data to s3://b-d-dev/data" in output.splitlines()


@pytest.mark.parametrize(
    ("found", "sent"),
    [
        (configuration("a", "d-dev", "s3://a/data"), False),
        (configuration("a", "d-dev", "s3://a/data-of-earlier"), True),
        (configuration("a", "d-dev", None), True),
        (configuration("a", "d-prod", "s3://a/data"), True),
        (configuration("a", "", "s3://a/data"), True),
        (configuration("b", "d-dev", "s3://a/data"), True),
        (configuration("a", "d-dev", "s3://a/data", workflow="flow"), True),
        ({**configuration("a", "d-dev", "s3://a/data"), "launch_plan": "plan"}, True),
    ],
)
@pytest.mark.parametrize("others", [[], [configuration("c", "d-dev", "s3://c/data")]])
def test_only_a_prefix_that_flyte_does_not_have_is_sent(
    work: Workspace, others: list[dict[str, Any]], found: dict[str, Any], sent: bool
):
    flyte = Flyte(configurations=[*others, found])
    with serving(flyte.handler) as address:
        code, _, errors = run(work, address, "a d-dev s3://a/data\n")

    assert (code, errors) == (0, "")
    assert list(flyte.put) == (["/api/v1/project_domain_attributes/a/d-dev"] if sent else [])


def test_one_request_is_enough_for_900_task_scopes_that_have_not_changed(work: Workspace):
    scopes = [(f"project-{number:03}", f"domain-{domain}") for number in range(300) for domain in range(3)]
    flyte = Flyte(configurations=[configuration(*scope, f"s3://{'-'.join(scope)}/data") for scope in scopes])
    outputs = "".join(f"{project} {domain} s3://{project}-{domain}/data\n" for project, domain in scopes)
    with serving(flyte.handler) as address:
        code, _, errors = run(work, address, outputs + "new domain-0 s3://new/data\n")

    assert (code, errors) == (0, "")
    assert flyte.requests == {"GET": 1, "PUT": 1}


def test_the_script_retries_until_flyte_is_ready(work: Workspace):
    flyte = Flyte(answers=[503, 500])
    with serving(flyte.handler) as address:
        code, _, _ = run(work, address, "a d-dev s3://a-d-dev/data\n")

    assert code == 0
    assert len(flyte.put) == 1


def test_an_error_of_flyte_is_reported_in_one_line(work: Workspace):
    flyte = Flyte(answers=[404] * 20)
    with serving(flyte.handler) as address:
        code, _, errors = run(work, address, "a d-dev s3://a-d-dev/data\n", wait=2)

    assert code == 1
    assert errors.splitlines() == [
        f"raw-outputs: Flyte at {address.removeprefix('http://')} does not accept GET {LIST}: "
        '404 {"error": "of flyte"}'
    ]


def test_an_image_without_perls_modules_is_reported_with_its_setting(work: Workspace):
    programs = Programs(work, {"perl": work.file("no-perl", "#!/bin/sh\nexit 2\n", mode=0o700)})
    with process(["/bin/sh", SCRIPT], {"PATH": str(programs.path)}, work, stderr=subprocess.PIPE) as started:
        _, errors = started.communicate(timeout=20)

    assert started.returncode == 1
    assert errors.startswith("raw-outputs: the image that flyte-home:images.postgres names has no perl with HTTP::Tiny")
    assert len(errors.splitlines()) == 1


def test_the_login_does_not_follow_a_redirect(work: Workspace):
    flyte = Flyte(secret="planted-client-secret", answers=[200, 307, 307, 307, 307, 307])
    with serving(flyte.handler) as address:
        code, _, errors = run(work, address, "a d-dev s3://a/data\n", wait=2, secret="planted-client-secret")

    assert code == 1
    assert "does not accept PUT /api/v1/project_domain_attributes/a/d-dev: 307" in errors


def test_an_answer_that_is_not_json_only_means_that_every_prefix_is_sent(work: Workspace):
    flyte = Flyte(listing="<html>")
    with serving(flyte.handler) as address:
        code, _, errors = run(work, address, "a d-dev s3://a/data\n")

    assert (code, errors) == (0, "")
    assert list(flyte.put) == ["/api/v1/project_domain_attributes/a/d-dev"]


def test_the_program_has_no_warning():
    perl = shutil.which("perl")
    if not perl:
        pytest.skip("needs perl")
    command = [perl, "-wc", str(SCRIPTS / "flyte" / "raw-outputs.pl")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)

    assert answer.stderr.splitlines() == [f"{command[-1]} syntax OK"]


def test_the_script_gives_up_in_time_if_flyte_does_not_answer(work: Workspace):
    start = time.monotonic()
    code, _, errors = run(work, f"http://127.0.0.1:{free_port()}", "a d-dev s3://a-d-dev/data\n", wait=2)

    assert code == 1
    assert f"does not accept GET {LIST}: no answer" in errors
    assert time.monotonic() - start < 20


def test_if_flyte_requires_a_login_the_script_gets_a_token(work: Workspace):
    flyte = Flyte(secret="planted-client-secret")
    with serving(flyte.handler) as address:
        code, output, errors = run(work, address, "a d s3://a/data\nb d s3://b/data\n", secret="planted-client-secret")

    assert (code, errors) == (0, "")
    assert len(flyte.put) == 2
    assert flyte.requests == {"POST": 1, "GET": 1, "PUT": 2}
    assert "planted" not in output


def test_a_token_that_has_expired_is_replaced(work: Workspace):
    flyte = Flyte(secret="planted-client-secret", answers=[200, 401, 200])
    with serving(flyte.handler) as address:
        code, _, errors = run(work, address, "a d-dev s3://a/data\n", secret="planted-client-secret")

    assert (code, errors) == (0, "")
    assert flyte.requests == {"POST": 2, "GET": 1, "PUT": 2}


@pytest.mark.parametrize(("flyte", "said"), [(Flyte(secret="another"), "401"), (Flyte(gives_tokens=False), "200")])
def test_a_failed_login_is_reported_without_the_secret(work: Workspace, flyte: Flyte, said: str):
    flyte.secret = flyte.secret or "planted-client-secret"
    with serving(flyte.handler) as address:
        code, _, errors = run(work, address, "a d-dev s3://a/data\n", wait=2, secret="planted-client-secret")

    assert code == 1
    assert f'GET {LIST}: {said} no login as flytepropeller: {{"error":"of the login"}}' in errors
    assert "planted" not in errors
    assert not flyte.put

"""``make doctor`` as a whole: order and dependencies of the checks, and what it prints."""

import base64
import http.server
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.doctor import __main__ as command_line
from ops.doctor import programs
from ops.doctor.check import Check, Finding, Result, examine, ok, remark, wrong
from ops.doctor.run import doctor, lines
from ops.lib import port_holder
from ops.lib.client_endpoints import ClientEndpoint
from ops.lib.text import one_line
from tests.conftest import UID, stack
from tests.kubectl import KubectlProgram, settings
from tests.processes import serving

ORDER = [
    "tools",
    "cluster",
    "rights",
    "postgres",
    "minio",
    "flyte",
    "jobs",
    "namespaces",
    "volumes",
    "database",
    "console",
    "gRPC address",
    "store address",
    "API",
    "executions",
    "buckets",
    "signed address",
    "gRPC",
    "webhook",
    "admission",
    "isolation",
    "backup",
    "certificate",
    "log links",
    "task images",
    "secrets",
]


def failing() -> Iterator[Result]:
    raise KeyError("planted-secret")


def found(*checks: Check) -> list[tuple[str, str, str]]:
    return [(one.check, one.state, one.says) for one in examine(checks)]


def test_only_checks_that_depend_on_a_failed_one_are_skipped():
    assert found(
        Check("first", lambda: [wrong("it is broken")]),
        Check("second", lambda: [ok("fine")], ["first"]),
        Check("third", lambda: [ok("fine")], ["second"]),
        Check("fourth", lambda: [ok("fine")]),
    ) == [
        ("first", "wrong", "it is broken"),
        ("second", "skipped", "depends on: first"),
        ("third", "skipped", "depends on: second"),
        ("fourth", "ok", "fine"),
    ]


def test_checks_that_depend_on_one_with_a_remark_still_run():
    assert (
        found(Check("first", lambda: [remark("old")]), Check("second", lambda: [ok("fine")], ["first"]))[1][1] == "ok"
    )


def test_a_check_that_crashes_does_not_end_the_others_and_quotes_nothing():
    (first, second) = found(Check("first", failing), Check("second", lambda: [ok("fine")]))

    assert first[1] == "wrong"
    assert "KeyError" in first[2]
    assert "planted" not in first[2]
    assert second[1] == "ok"


def test_a_check_that_takes_too_long_is_wrong_and_its_results_are_kept():
    def slow() -> Iterator[Result]:
        yield ok("so far")
        time.sleep(20)

    start = time.monotonic()
    (first, second) = found(Check("slow", slow, seconds=0.3))

    assert (first[2], second[1]) == ("so far", "wrong")
    assert "no result within" in second[2]
    assert time.monotonic() - start < 5


def test_a_finding_is_a_line_followed_by_the_commands_that_fix_it():
    text = lines(Finding("minio", "wrong", "is down", "kubectl one\nkubectl two"))

    assert text.splitlines() == ["wrong    minio          is down", "         kubectl one", "         kubectl two"]


def test_a_long_message_keeps_its_beginning_and_its_end():
    text = one_line("the beginning " + "x" * 1000 + "\nthe end")

    assert text.startswith("the beginning")
    assert text.endswith("the end")
    assert len(text) < 410


@pytest.fixture
def offline(kubectl_program: KubectlProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubectlProgram:
    """A kubectl without any cluster, and a checkout without locks."""
    monkeypatch.setattr(port_holder, "FOLDER", tmp_path / "client")
    return kubectl_program


def test_checks_that_need_the_cluster_are_skipped_if_it_does_not_answer(offline: KubectlProgram):
    with doctor("dev", settings(), "make doctor") as findings:
        seen = list(findings)

    assert list(dict.fromkeys(one.check for one in seen)) == ORDER
    by_name = {one.check: one for one in seen}
    assert by_name["cluster"].state == "wrong"
    assert "the cluster of 'home' does not answer: no answer to" in by_name["cluster"].says
    assert by_name["cluster"].remedy.endswith("--context home cluster-info")
    skipped = {one.check for one in seen if one.state == "skipped"}
    assert skipped == set(ORDER) - {"tools", "cluster", "log links"}


@pytest.mark.parametrize("answer", [UID, "another"])
def test_the_command_line_prints_json_and_fails_when_something_is_wrong(
    offline: KubectlProgram, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
):
    offline.on("kube-system", answer)
    monkeypatch.setattr("sys.argv", ["doctor", "dev", "--json"])
    monkeypatch.setattr(command_line, "stack_config", lambda _: stack())

    code = command_line.main()
    content = json.loads(capsys.readouterr().out)

    assert code == 1
    assert {frozenset(one) for one in content} == {frozenset({"check", "state", "says", "mend"})}
    by_name = {one["check"]: one for one in content}
    assert by_name["cluster"]["state"] == ("ok" if answer == UID else "wrong")
    if answer != UID:
        assert f"belongs to the cluster {UID}, but 'home' leads to another" in by_name["cluster"]["says"]


def test_an_unknown_stack_ends_with_a_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("sys.argv", ["doctor", "none"])

    assert command_line.main() == 1
    assert "there is no Pulumi.none.yaml" in capsys.readouterr().err


def test_the_tools_are_compared_with_the_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said = {"kubectl": '{"gitVersion": "v1.34.1"}', "pulumi": "v3.250.0", "python": "1.16.31"}
    monkeypatch.setattr(programs, "_output", lambda command: said.get(command[0].rpartition("/")[2], ""))
    (tmp_path / "requirements.txt").write_text("flytekit==1.16.31 \\\n")

    assert [one.state for one in programs.check_programs(tmp_path)] == ["ok"]

    said |= {"pulumi": "v3.1.0", "python": "1.15.0"}
    says = [one.says for one in programs.check_programs(tmp_path)]
    assert says[0] == "Flyte's client is flytekit 1.15.0; this repository is tested with 1.16.31"
    assert says[1].startswith("pulumi 3.1.0 is older than the library, 3.")

    said |= {"pulumi": "", "python": ""}
    monkeypatch.setattr(programs.shutil, "which", lambda _: None)
    found = list(programs.check_programs(tmp_path))
    assert [(one.state, one.says) for one in found] == [
        ("wrong", "pulumi is not on the PATH"),
        ("remark", "Flyte's client 1.16.31 is not installed; make smoke installs it"),
    ]
    assert "https://www.pulumi.com" in found[0].remedy


class Quoting(http.server.BaseHTTPRequestHandler):
    """Flyte and the object store on one server, which rejects every request and quotes its content."""

    def do_GET(self) -> None:
        if self.path.startswith("/api/v1/projects"):
            self.reply(200, {"projects": [{"id": "remedy"}]})
        else:
            self.reply(
                403, f"<Error><Code>AccessDenied</Code><Message>{dict(self.headers)} {SECRETS}</Message></Error>"
            )

    def do_PUT(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        host = self.headers["Host"]
        url = f"http://{host}/flyte/x?X-Amz-Credential=planted-credential&X-Amz-Signature=planted-signature"
        self.reply(200, {"signed_url": url, "native_url": "s3://flyte/x", "headers": {"Content-MD5": "planted-md5"}})

    def reply(self, status: int, content: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write((content if isinstance(content, str) else json.dumps(content)).encode())

    def log_message(self, *_args: Any) -> None:
        pass


SECRETS = {
    "flyte-object-store": {
        "FLYTE_AWS_ACCESS_KEY_ID": "planted-access",
        "FLYTE_AWS_SECRET_ACCESS_KEY": "planted-secret-key",
    },
    "tidal-creds": {"json": "planted, and not JSON"},
}


@pytest.mark.parametrize("as_json", [True, False])
def test_no_output_contains_a_secret_whatever_goes_wrong(
    offline: KubectlProgram,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    as_json: bool,
):
    def encoded(values: dict[str, str]) -> dict[str, str]:
        return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}

    def ready(kind: str, name: str) -> dict[str, Any]:
        spec = {"selector": {"matchLabels": {"app": name}}, "template": {"spec": {}}}
        return {"kind": kind, "metadata": {"name": name}, "spec": spec, "status": {"readyReplicas": 1}}

    offline.on("kube-system", UID)
    offline.on(
        "secret",
        json.dumps(
            {"items": [{"metadata": {"name": name}, "data": encoded(values)} for name, values in SECRETS.items()]}
        ),
    )
    servers = [ready("StatefulSet", "postgres"), ready("StatefulSet", "minio"), ready("Deployment", "flyte-binary")]
    offline.on("get --namespace=flyte", json.dumps({"items": servers}))
    namespace = {"metadata": {"name": "remedy-development"}, "status": {"phase": "Active"}}
    offline.on("get namespace", json.dumps(namespace))
    offline.on("mutatingwebhookconfiguration", json.dumps({"webhooks": [{"clientConfig": {}}]}))
    # No command opens port-forwards for these addresses.
    monkeypatch.setattr(ClientEndpoint, "forwarded", property(lambda _: False))
    monkeypatch.setattr("sys.argv", ["doctor", "dev", *(["--json"] if as_json else [])])
    with serving(Quoting) as http, serving(Quoting) as grpc, serving(Quoting) as store:
        endpoints = {"http": http, "grpc": grpc.replace("http://", "dns:///"), "objectStore": store}
        monkeypatch.setattr(
            command_line, "stack_config", lambda _: stack(clientEndpoints=endpoints, domains=["development"])
        )
        code = command_line.main()

    printed = capsys.readouterr()
    said = printed.out + printed.err
    for found in ("may not open its bucket", "rejects it: HTTP 403", "is not JSON"):
        assert found in said
    values = [value for secret in SECRETS.values() for value in secret.values()]
    assert "planted" not in said
    assert not [value for value in values if base64.b64encode(value.encode()).decode() in said]
    assert code == 1


def test_ctrl_c_ends_the_doctor_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupted(*_args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.argv", ["doctor", "dev"])
    monkeypatch.setattr(command_line, "stack_config", lambda _: stack())
    monkeypatch.setattr(command_line, "doctor", interrupted)

    assert command_line.main() == 130
    assert capsys.readouterr().out == ""

"""``make example``: the commands that each WAY starts, and the messages if something is missing."""

import base64
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops import example, tools
from ops.lib import example_workflow
from settings import Settings, settings_from
from settings.errors import SettingsError
from tests.conftest import stack
from tests.processes import free_port

TOKEN = '{"token": "planted-token"}'
# Writes down how it was called, and what it was sent; answers and fails as a test wishes.
STAND_IN = """#!/bin/sh
PATH=/usr/bin:/bin
name=${{0##*/}}
case "$*" in --version|"version --client") exit ;; esac
echo "$name $*" >>{folder}/calls
echo "$FLYTE_SECRETS_DEFAULT_DIR" >{folder}/$name.secrets
[ "$name" != kubectl ] || cat >{folder}/sent
[ ! -f {folder}/$name.says ] || cat {folder}/$name.says
[ ! -f {folder}/$name.fails ] || {{ echo "$name is out of order" >&2; exit 1; }}
"""


@dataclass(frozen=True)
class StandIns:
    """Stand-ins for the programs that `make example` starts; nothing else is on the PATH."""

    folder: Path

    def add(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN.format(folder=self.folder))
        path.chmod(0o700)

    def remove(self, name: str) -> None:
        (self.folder / "bin" / name).unlink()

    def says(self, name: str, text: str) -> None:
        (self.folder / f"{name}.says").write_text(f"{text}\n")

    def fails(self, name: str) -> None:
        (self.folder / f"{name}.fails").touch()

    @property
    def calls(self) -> list[str]:
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    @property
    def sent(self) -> dict[str, Any]:
        """The manifests that kubectl was sent, by their kinds."""
        return {item["kind"]: item for item in json.loads((self.folder / "sent").read_text())["items"]}

    def secrets(self, name: str) -> Path:
        """The folder in which the program was told to look for secrets."""
        return Path((self.folder / f"{name}.secrets").read_text().strip())


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    stand_ins = StandIns(tmp_path)
    for name in ("uv", "docker", "flytectl", "kubectl"):
        stand_ins.add(tmp_path / "bin" / name)
    stand_ins.add(tmp_path / "example" / ".venv" / "bin" / "pyflyte")
    (tmp_path / "example" / "secrets").mkdir()
    monkeypatch.setattr(example_workflow, "EXAMPLE", tmp_path / "example")
    monkeypatch.setattr(example, "ROOT", tmp_path)
    monkeypatch.setattr(example, "FOLDER", tmp_path / ".client")
    monkeypatch.setattr(example, "stack_config", lambda _stack: stack())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FLYTE_SECRETS_DEFAULT_DIR", raising=False)
    return stand_ins


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    """A folder of credentials."""
    (tmp_path / "own" / "tidal-creds").mkdir(parents=True)
    (tmp_path / "own" / "tidal-creds" / "json").write_text(TOKEN)
    return tmp_path / "own"


def request(credentials: Path | None = None, library: str = "") -> example.Request:
    return example.Request("dev", credentials, library)


def test_plain_python_runs_in_the_locked_environment(programs: StandIns):
    example.run_python(request(library="own"))

    assert programs.calls == ["uv run --with-requirements requirements.txt workflow.py --library own"]


def test_pyflyte_runs_the_example_on_this_machine(programs: StandIns):
    example.run_local(request(library="own"))

    assert programs.calls == ["pyflyte run workflow.py remedy --library own"]


def test_the_secret_is_the_sample_unless_a_folder_is_given(
    programs: StandIns, credentials: Path, monkeypatch: pytest.MonkeyPatch
):
    example.run_local(request())
    assert programs.secrets("pyflyte") == programs.folder / "example" / "secrets"

    monkeypatch.setenv("FLYTE_SECRETS_DEFAULT_DIR", "/elsewhere")
    example.run_local(request())
    assert programs.secrets("pyflyte") == Path("/elsewhere")

    example.run_local(request(credentials))
    assert programs.secrets("pyflyte") == credentials


def test_a_relative_folder_starts_at_the_current_directory(
    programs: StandIns, credentials: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(credentials.parent)

    example.run_python(request(Path("own")))

    assert programs.secrets("uv") == credentials


def test_the_sandbox_is_started_gets_the_secret_and_runs_the_workflow(programs: StandIns, credentials: Path):
    example.run_sandbox(request(credentials))

    assert [call for call in programs.calls if not call.startswith("docker ")] == [
        "flytectl demo start --version v1.16.8",
        "kubectl --context flyte-sandbox apply --server-side --force-conflicts --filename=-",
        f"pyflyte --config {programs.folder}/.flyte/config-sandbox.yaml run --remote --wait "
        "--project flytesnacks --domain development workflow.py remedy",
    ]


def test_a_running_sandbox_is_not_started_again(programs: StandIns, credentials: Path):
    programs.says("docker", "true")

    example.run_sandbox(request(credentials))

    assert not [call for call in programs.calls if call.startswith("flytectl")]


def test_the_sandbox_gets_the_exact_secret_in_the_namespace_of_its_tasks(programs: StandIns, credentials: Path):
    example.run_sandbox(request(credentials))

    made = programs.sent["Secret"]
    assert made["metadata"] == {"name": "tidal-creds", "namespace": "flytesnacks-development"}
    assert base64.b64decode(made["data"]["json"]).decode() == TOKEN
    assert programs.sent["Namespace"]["metadata"]["name"] == "flytesnacks-development"


def test_no_command_line_contains_the_secret(programs: StandIns, credentials: Path):
    example.run_sandbox(request(credentials))

    arguments = "\n".join(programs.calls)
    assert "planted" not in arguments
    assert base64.b64encode(TOKEN.encode()).decode() not in arguments


@pytest.mark.parametrize(
    ("tool", "way"),
    [("docker", "sandbox"), ("flytectl", "sandbox")],
)
def test_a_missing_program_is_reported_with_its_installation_page(tool: str, way: str, programs: StandIns):
    programs.remove(tool)

    with pytest.raises(example.ExampleError, match=f"{tool} is not on the PATH; install it from https://"):
        example.WAYS[way](request())

    assert programs.calls == []


@pytest.mark.parametrize(
    ("tool", "way", "said"),
    [
        ("uv", "python", "uv [0-9.]+: pip cannot install it: "),
        ("kubectl", "sandbox", "kubectl [0-9.]+: cannot download file:///nowhere/kubectl-"),
    ],
)
def test_a_missing_program_is_fetched_before_anything_starts(
    tool: str, way: str, said: str, programs: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    programs.remove(tool)
    monkeypatch.setattr(tools, "BIN", tmp_path / "fetched")
    monkeypatch.setenv("FLYTE_HOME_MIRROR", "file:///nowhere")
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    with pytest.raises(SettingsError, match=said):
        example.WAYS[way](request())

    assert programs.calls == []


def test_without_pyflyte_the_message_names_the_target_that_installs_it(programs: StandIns):
    (programs.folder / "example" / ".venv" / "bin" / "pyflyte").unlink()

    with pytest.raises(example.ExampleError, match="pyflyte; make example installs it"):
        example.run_local(request())


def test_a_docker_that_does_not_answer_is_reported_with_its_message(programs: StandIns, credentials: Path):
    programs.fails("docker")

    with pytest.raises(example.ExampleError, match=r"start Docker\. Its message: docker is out of order"):
        example.run_sandbox(request(credentials))


def test_the_sandbox_is_not_started_without_a_secret(programs: StandIns, tmp_path: Path):
    with pytest.raises(
        example.ExampleError, match=f"the secret tidal-creds/json: {tmp_path}/tidal-creds/json: No such"
    ):
        example.run_sandbox(request(tmp_path))

    assert programs.calls == []


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ("flytectl", "the sandbox did not start"),
        ("kubectl", "the sandbox did not accept the secret tidal-creds"),
        ("pyflyte", "the workflow failed"),
    ],
)
def test_the_sandbox_run_ends_with_the_first_command_that_fails(
    failing: str, said: str, programs: StandIns, credentials: Path
):
    programs.fails(failing)

    with pytest.raises(example.ExampleError, match=f"{said}, see above"):
        example.run_sandbox(request(credentials))

    assert programs.calls[-1].startswith(failing)


@pytest.fixture
def connected(programs: StandIns, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIns]:
    """What `make connect` leaves: a client configuration, and something that answers."""
    (programs.folder / ".client").mkdir()
    (programs.folder / ".client" / "dev.yaml").touch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings(monkeypatch, clientEndpoints={"grpc": f"dns:///127.0.0.1:{server.getsockname()[1]}"})
        yield programs


def settings(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> Settings:
    """Let the stack have these settings."""
    monkeypatch.setattr(example, "stack_config", lambda _stack: stack(**changed))
    return settings_from(*stack(**changed))


def test_the_cluster_runs_the_example_in_the_first_project_that_may_use_its_secret(connected: StandIns):
    example.run_cluster(request(library="own"))

    assert connected.calls == [
        f"pyflyte --config {connected.folder}/.client/dev.yaml run --remote --wait "
        "--project remedy --domain development workflow.py remedy --library own"
    ]


def test_an_image_of_ones_own_runs_the_tasks(connected: StandIns):
    example.run_cluster(example.Request("dev", None, "", image="registry.home:5000/remedy:1"))

    assert connected.calls == [
        f"pyflyte --config {connected.folder}/.client/dev.yaml run --remote --wait --project remedy "
        "--domain development --image registry.home:5000/remedy:1 workflow.py remedy"
    ]


def test_a_schedule_is_registered_and_activated_in_the_same_project(connected: StandIns):
    example.run_schedule(example.Request("dev", None, "", image="registry.home:5000/remedy:1", cron="0 5 * * *"))

    assert connected.calls == [
        f"pyflyte --config {connected.folder}/.client/dev.yaml register --project remedy --domain development "
        "--activate-launchplans --image registry.home:5000/remedy:1 nightly.py"
    ]


def test_mails_about_failures_need_a_mail_server(connected: StandIns, monkeypatch: pytest.MonkeyPatch):
    scheduled = example.Request("dev", None, "", notify="me@home.example")

    with pytest.raises(example.ExampleError, match=r"the stack dev has no mail server.*set flyte-home:notifications"):
        example.run_schedule(scheduled)
    assert connected.calls == []

    endpoint = settings_from(*example.stack_config("dev")).endpoints.grpc
    server = {"host": "mail.home.example", "sender": "flyte@home.example"}
    settings(monkeypatch, clientEndpoints={"grpc": endpoint}, notifications=server)
    example.run_schedule(scheduled)
    assert len(connected.calls) == 1


def test_a_launch_plan_that_is_not_registered_is_reported(connected: StandIns):
    connected.fails("pyflyte")

    with pytest.raises(example.ExampleError, match="the launch plan was not registered, see above"):
        example.run_schedule(request())


@pytest.mark.parametrize(
    ("way", "options", "said"),
    [
        ("local", {"image": "a:1"}, "TASK_IMAGE=a:1 has no effect with WAY=local"),
        ("cluster", {"cron": "0 4 * * *"}, "CRON=0 4 * * * has no effect with WAY=cluster; use it with WAY=schedule"),
        ("sandbox", {"notify": "a@b"}, "NOTIFY=a@b has no effect with WAY=sandbox"),
        ("schedule", {"library": "own"}, "LIBRARY=own has no effect with WAY=schedule"),
    ],
)
def test_an_option_without_an_effect_is_rejected(way: str, options: dict[str, str], said: str):
    with pytest.raises(example.ExampleError) as error:
        example.Request("dev", None, **{"library": "", **options}).check(way)

    assert said in str(error.value)


def test_without_a_client_configuration_the_message_explains_how_to_connect(programs: StandIns):
    with pytest.raises(
        example.ExampleError, match=r"no \.client/dev\.yaml; run make connect STACK=dev in another terminal"
    ):
        example.run_cluster(request())


def test_a_closed_connection_is_detected(connected: StandIns, monkeypatch: pytest.MonkeyPatch):
    address = f"dns:///127.0.0.1:{free_port()}"
    settings(monkeypatch, clientEndpoints={"grpc": address})

    with pytest.raises(example.ExampleError, match=f"nothing answers at {address}; run make connect STACK=dev"):
        example.run_cluster(request())


def test_the_cluster_run_needs_a_project_that_may_use_the_secret(connected: StandIns, monkeypatch: pytest.MonkeyPatch):
    settings(monkeypatch, projects=[{"name": "remedy"}], tidalCreds=None)

    with pytest.raises(example.ExampleError, match="no project asks for the secret tidal-creds"):
        example.run_cluster(request())


def test_on_the_cluster_credentials_come_only_from_the_stack(connected: StandIns, credentials: Path):
    with pytest.raises(example.ExampleError, match="pulumi config set --secret flyte-home:tidalCreds") as failed:
        example.run_cluster(request(credentials))

    assert f"--stack dev < {credentials}/tidal-creds/json && make up STACK=dev" in str(failed.value)
    assert "planted" not in str(failed.value)
    assert connected.calls == []


def test_the_command_line_prints_what_failed_and_returns_one(
    programs: StandIns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    programs.fails("uv")
    monkeypatch.setattr("sys.argv", ["example", "python"])

    assert example.main() == 1
    assert "FAILED  the workflow failed, see above" in capsys.readouterr().err


def test_the_command_line_returns_zero_when_the_workflow_succeeded(
    programs: StandIns, credentials: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.argv", ["example", "local", "--credentials", os.fspath(credentials)])

    assert example.main() == 0
    assert programs.secrets("pyflyte") == credentials

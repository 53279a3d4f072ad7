"""``make up``: what the first run sets up, and what is never guessed."""

import json
import os
import pty
import shutil
import socket
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.pods import LABELS
from ops import up
from ops.lib import engine, pinning
from ops.tools import TOOLS
from paths import ROOT
from settings.errors import SettingsError
from tests.kubectl import FakeCluster, program_copy, settings


def test_state_and_passphrase_are_in_the_project_and_only_their_owner_can_read_them(tmp_path: Path):
    state = tmp_path / "state"

    first = engine.backend({}, logged_in=False, state=state)
    second = engine.backend({}, logged_in=False, state=state)

    passphrase = Path(first["PULUMI_CONFIG_PASSPHRASE_FILE"])
    assert first == second
    assert first["PULUMI_BACKEND_URL"] == f"file://{state}"
    assert len(passphrase.read_text()) >= 32
    assert stat.S_IMODE(passphrase.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


@pytest.mark.parametrize(("environment", "logged_in"), [({"PULUMI_BACKEND_URL": "s3://state"}, False), ({}, True)])
def test_a_backend_chosen_by_the_user_is_kept(tmp_path: Path, environment: dict[str, str], logged_in: bool):
    assert engine.backend(environment, logged_in, tmp_path / "state") == {}
    assert not (tmp_path / "state").exists()


def test_a_passphrase_chosen_by_the_user_is_kept(tmp_path: Path):
    chosen = engine.backend({"PULUMI_CONFIG_PASSPHRASE": "mine"}, False, tmp_path / "state")

    assert set(chosen) == {"PULUMI_BACKEND_URL"}


def test_only_the_trial_stack_uses_the_only_context():
    assert pinning.choose_context("dev", "flyte-home-dev", "", ["k3s"]) == "k3s"
    with pytest.raises(SettingsError, match="make up STACK=prod CONTEXT=NAME"):
        pinning.choose_context("prod", "flyte-home-prod", "", ["k3s"])


def test_no_context_is_guessed_if_there_are_several():
    with pytest.raises(SettingsError, match="'work', 'home'"):
        pinning.choose_context("dev", "flyte-home-dev", "", ["work", "home"])


def test_the_context_on_the_command_line_overrides_the_stack_file():
    assert pinning.choose_context("prod", "work", "home", ["work", "home"]) == "home"
    assert pinning.choose_context("prod", "work", "", ["work", "home"]) == "work"
    with pytest.raises(SettingsError, match="no context 'typo'"):
        pinning.choose_context("dev", "work", "typo", ["work"])


UID = "uid-of-the-cluster"
_PULUMI = """
import pathlib, sys
import yaml
log, state, program = pathlib.Path({log!r}), pathlib.Path({state!r}), pathlib.Path({program!r})
arguments = sys.argv[1:]
with log.open("a") as file:
    print("pulumi", *arguments, file=file)
if arguments[0] == "whoami":
    sys.exit(1)
if arguments[:2] == ["stack", "export"]:
    print(state.read_text())
if arguments[:2] == ["config", "set"]:
    place = program / "Pulumi.dev.yaml"
    content, value = yaml.safe_load(place.read_text()), sys.stdin.read()
    content["config"][arguments[4]] = value
    place.write_text(yaml.safe_dump(content))
    with log.open("a") as file:
        print("  input:", value, file=file)
if arguments[0] in ("up", "destroy") and state.with_name("fails").exists():
    sys.exit(7)
"""
_PLACES = {"log": "log", "state": "state.json", "program": "program"}
_KUBECTL = """
import sys
with open({log!r}, "a") as file:
    print("kubectl", *sys.argv[1:], file=file)
print("{uid}" if "kube-system" in sys.argv else '{{"items": []}}', end="")
"""


@dataclass(frozen=True)
class Machine:
    """A copy of the program, and a pulumi and a kubectl that write down how they are called, and with what input."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "FLYTE_HOME_BIN": str(self.folder / "fetched"),
            "FLYTE_HOME_MIRROR": "file:///nowhere",
            "PULUMI_HOME": str(self.folder / "pulumi"),
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'backend'}",
            "HOME": os.environ.get("HOME", "/"),
        }

    @property
    def only_tools(self) -> dict[str, str]:
        """An environment without the programs of the system, such as ps."""
        return {"PATH": str(self.folder / "bin")}

    def put(self, name: str, program: str) -> None:
        """Put a Python program on the PATH."""
        tool = self.folder / "bin" / name
        tool.write_text(f"#!{sys.executable}\n{program}")
        tool.chmod(0o755)

    def write_state(self, **deployment: Any) -> None:
        (self.folder / "state.json").write_text(json.dumps({"deployment": deployment}))

    def make(
        self, command: str, *arguments: str, given: str = "", **environment: str
    ) -> tuple[subprocess.CompletedProcess[str], str]:
        """Run a command; return its result and the log of the two programs."""
        result = subprocess.run(
            [sys.executable, "-m", f"ops.{command}", *arguments],
            cwd=self.folder / "program",
            env=self.environment | environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        log = self.folder / "log"
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        # Questions about their versions are tested in test_ops_tools.py.
        return result, "".join(
            line for line in lines if line.split()[:2] not in (["pulumi", "version"], ["kubectl", "version"])
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a stack ``dev`` that is pinned to its cluster."""
    found = Machine(tmp_path)
    program_copy(tmp_path / "program", clusterUid=UID, context="k3s")
    for folder in ("bin", "backend"):
        (tmp_path / folder).mkdir()
    found.write_state()
    found.put("pulumi", _PULUMI.format(**{name: str(tmp_path / place) for name, place in _PLACES.items()}))
    found.put("kubectl", _KUBECTL.format(log=str(tmp_path / "log"), uid=UID))
    (tmp_path / "kubeconfig").write_text('{"contexts": [{"name": "k3s"}]}')
    for name in ("kubernetes", "random"):
        plugin = TOOLS[f"pulumi-resource-{name}"]
        folder = tmp_path / "pulumi" / "plugins" / f"resource-{name}-v{plugin.version}"
        folder.mkdir(parents=True)
        (folder / plugin.name).touch()
    return found


def of_pulumi(log: str) -> list[str]:
    """The calls of pulumi, without those for the place of the state."""
    lines = [line for line in log.splitlines() if not line.startswith("kubectl")]
    return [line.removeprefix("pulumi ") for line in lines if not line.startswith("pulumi whoami")]


def test_the_first_run_pins_the_cluster_and_then_updates(machine: Machine):
    stack_file = machine.folder / "program" / "Pulumi.dev.yaml"
    content = yaml.safe_load(stack_file.read_text())
    content["config"] |= {"flyte-home:clusterUid": "", "kubernetes:context": "flyte-home-dev"}
    stack_file.write_text(yaml.safe_dump(content))

    result, log = machine.make("up", "dev")

    assert result.returncode == 0, result.stderr
    assert of_pulumi(log) == [
        "stack select dev --create --non-interactive",
        "config set --stack dev kubernetes:context --non-interactive",
        "  input: k3s",
        "config set --stack dev flyte-home:clusterUid --non-interactive",
        f"  input: {UID}",
        "stack export --stack dev --non-interactive",
        "up --refresh --run-program --yes --non-interactive --suppress-progress --stack dev",
    ]


def test_destroy_does_not_run_the_program_which_needs_all_of_its_objects(machine: Machine):
    _, log = machine.make("destroy", "dev")

    assert of_pulumi(log) == [
        "stack select dev --non-interactive",
        "stack export --stack dev --non-interactive",
        "destroy --refresh --yes --non-interactive --suppress-progress --stack dev",
    ]


def test_destroy_also_compares_the_cluster_of_the_last_update(machine: Machine):
    """The stack file may name another context by now than the state, whose providers a destroy uses."""
    inputs = {"context": "old", "kubeconfig": "/the/old"}
    machine.write_state(resources=[{"urn": "urn:p", "type": "pulumi:providers:kubernetes", "inputs": inputs}])
    program = _KUBECTL.format(log=str(machine.folder / "log"), uid=UID)
    machine.put("kubectl", f"import sys\nif 'old' in sys.argv: sys.exit(print('uid-of-another', end=''))\n{program}")

    result, log = machine.make("destroy", "dev")

    assert result.returncode == 1
    assert "'old' leads to uid-of-another" in result.stderr
    assert not any(line.startswith("destroy") for line in of_pulumi(log))


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
@pytest.mark.parametrize("command", ["up", "destroy"])
def test_on_a_terminal_a_preview_is_shown_and_the_user_decides(machine: Machine, command: str, answer: str, code: int):
    terminal, end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", f"ops.{command}", "dev"],
        cwd=machine.folder / "program",
        env=machine.environment,
        stdin=end,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        os.write(terminal, f"{answer}\n".encode())
        output, _ = process.communicate(timeout=60)

    assert process.returncode == code, output
    calls = of_pulumi((machine.folder / "log").read_text())
    previews = [one for one in calls if one.startswith("preview") or "--preview-only" in one]
    assert len(previews) == 1
    assert ("--skip-preview" in calls[-1]) is (answer == "y")
    assert ("Nothing was changed" in output) is (answer == "n")


def test_preview_changes_nothing(machine: Machine):
    _, log = machine.make("preview", "dev")

    assert of_pulumi(log)[-1] == "preview --refresh --run-program --diff --stack dev"
    assert "config set" not in log


@pytest.mark.parametrize("command", ["up", "destroy"])
def test_another_cluster_under_the_same_context_is_not_touched(machine: Machine, command: str):
    machine.put("kubectl", _KUBECTL.format(log=str(machine.folder / "log"), uid="uid-of-another"))

    result, log = machine.make(command, "dev")

    assert result.returncode == 1
    assert "stack 'dev' belongs to the cluster uid-of-the-cluster, but 'k3s' leads to uid-of-another" in result.stderr
    assert not any(line.startswith(command) for line in of_pulumi(log))


def test_without_pulumi_and_a_network_the_message_names_the_target_that_still_works(machine: Machine):
    result, log = machine.make("up", "dev", PATH="")

    assert result.returncode == 1
    assert "pulumi 3.250.0: cannot download file:///nowhere/pulumi-v3.250.0-" in result.stderr
    assert "make render works without it" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert log == ""


@pytest.mark.parametrize("command", ["up", "destroy"])
def test_the_message_names_a_cluster_that_does_not_answer(machine: Machine, command: str):
    machine.put("kubectl", "import sys; sys.exit('connection refused')")

    result, log = machine.make(command, "dev")

    assert result.returncode == 1
    assert "the cluster of 'k3s' does not answer: connection refused" in result.stderr
    assert "Traceback" not in result.stderr
    assert not any(line.startswith(command) for line in of_pulumi(log))


def test_a_failed_update_ends_with_its_cause_and_how_to_go_on(machine: Machine):
    (machine.folder / "fails").touch()

    result, _ = machine.make("up", "dev")

    assert result.returncode == 7
    said = result.stdout.split("Looking for the cause:")[1]
    assert said.splitlines()[-1] == "Then run again: make up STACK=dev  # it goes on where this one stopped"
    assert "Traceback" not in result.stdout + result.stderr


def test_nothing_is_started_when_the_state_cannot_be_written(machine: Machine):
    (machine.folder / "backend").rmdir()
    # A folder in which not even root can write.
    (machine.folder / "backend").symlink_to("/proc")

    result, log = machine.make("up", "dev")

    assert result.returncode == 1
    assert "the state of Pulumi cannot be written to" in result.stderr
    assert "run the command again" in result.stderr
    assert of_pulumi(log) == []


def lock(machine: Machine, process: int, host: str = "", since: str = "2026-01-01T00:00:00.0Z") -> None:
    place = machine.folder / "backend/.pulumi/locks/organization/flyte-home/dev/1.json"
    place.parent.mkdir(parents=True)
    content = {"pid": process, "username": "me", "hostname": host or socket.gethostname(), "timestamp": since}
    place.write_text(json.dumps(content))


@pytest.mark.parametrize("without_ps", [False, True])
def test_the_lock_of_a_killed_update_is_released(machine: Machine, without_ps: bool):
    killed = subprocess.Popen(["true"])
    killed.wait()
    lock(machine, killed.pid)

    result, log = machine.make("up", "dev", **(machine.only_tools if without_ps else {}))

    assert "The last update of dev was killed. Going on where it stopped" in result.stdout
    assert of_pulumi(log)[1] == "cancel --yes --stack dev --non-interactive"
    assert of_pulumi(log)[-1].startswith("up ")


@pytest.mark.parametrize("without_ps", [False, True])
def test_the_lock_of_a_running_update_is_respected(machine: Machine, without_ps: bool):
    running = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)  # pulumi up"])
    try:
        lock(machine, running.pid)
        result, log = machine.make("up", "dev", **(machine.only_tools if without_ps else {}))
    finally:
        running.kill()
        running.wait()

    assert result.returncode == 1
    assert f"the stack 'dev' is being changed by process {running.pid} on this machine" in result.stderr
    assert f"kill -INT {running.pid}" in result.stderr
    assert not any(line.startswith(("up", "cancel")) for line in of_pulumi(log))


def test_the_lock_of_another_machine_is_respected(machine: Machine):
    lock(machine, 1, "elsewhere")

    result, log = machine.make("destroy", "dev")

    assert result.returncode == 1
    assert "by me on elsewhere since 2026-01-01" in result.stderr
    assert "pulumi cancel --stack dev" in result.stderr
    assert not any(line.startswith(("destroy", "cancel")) for line in of_pulumi(log))


@pytest.mark.parametrize(("setting", "option"), [("keepVolumes", "retainOnDelete"), ("protect", "protect")])
def test_volumes_are_not_destroyed_that_only_the_stack_file_protects(machine: Machine, setting: str, option: str):
    stack_file = machine.folder / "program" / "Pulumi.dev.yaml"
    content = yaml.safe_load(stack_file.read_text())
    content["config"][f"flyte-home:{setting}"] = "true"
    stack_file.write_text(yaml.safe_dump(content))
    claim = {"urn": "urn:p", "type": "kubernetes:core/v1:PersistentVolumeClaim", "id": "flyte/postgres-data"}
    machine.write_state(resources=[claim])

    result, log = machine.make("destroy", "dev")

    assert result.returncode == 1
    assert f"flyte-home:{setting}: it is set, but not deployed yet" in result.stderr
    assert "Run make up STACK=dev first" in result.stderr
    assert not any(line.startswith("destroy") for line in of_pulumi(log))
    machine.write_state(resources=[claim | {option: True}])
    assert machine.make("destroy", "dev")[0].returncode == 0


@pytest.mark.parametrize("command", ["up", "destroy"])
@pytest.mark.parametrize("damaged", ["", '{"version": 3, "checkpo'])
def test_a_state_that_a_kill_has_damaged_is_restored_from_its_copy(machine: Machine, command: str, damaged: str):
    state = machine.folder / "backend/.pulumi/stacks/flyte-home/dev.json"
    state.parent.mkdir(parents=True)
    state.write_text(damaged)
    state.with_name("dev.json.bak").write_text('{"version": 3}')

    result, log = machine.make(command, "dev")

    assert result.returncode == 0, result.stderr
    assert state.read_text() == '{"version": 3}'
    assert "Using dev.json.bak, which is one step older" in result.stdout
    assert of_pulumi(log)[-1].startswith(command)


@pytest.mark.parametrize(("state", "copy"), [('{"version": 3}', '{"version": 2}'), ("", None), ("", "{")])
def test_a_state_that_is_whole_or_has_no_whole_copy_is_left_alone(machine: Machine, state: str, copy: str | None):
    place = machine.folder / "backend/.pulumi/stacks/flyte-home/dev.json"
    place.parent.mkdir(parents=True)
    place.write_text(state)
    if copy is not None:
        place.with_name("dev.json.bak").write_text(copy)

    machine.make("up", "dev")

    assert place.read_text() == state


def pending(type_: str, name: str, namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    resource = {"urn": f"urn:{name}", "type": f"kubernetes:{type_}", "inputs": {"metadata": metadata}}
    return {"type": "creating", "resource": resource}


def test_what_a_killed_update_has_created_is_adopted_and_the_rest_forgotten(machine: Machine):
    machine.write_state(
        pending_operations=[
            pending("core/v1:Secret", "keys-1", "flyte"),
            pending("core/v1:Secret", "unlabelled", "flyte"),
            pending("core/v1:Namespace", "remedy-development"),
            pending("core/v1:Namespace", "older"),
            pending("batch/v1:Job", "absent-1", "flyte"),
            pending("helm.sh/v3:Release", "flyte", "flyte"),
            {"type": "updating", "resource": {"urn": "urn:x", "type": "kubernetes:core/v1:Secret", "inputs": {}}},
        ],
    )
    new, old = "2026-01-01T12:00:01Z", "2026-01-01T11:00:00Z"
    killed = subprocess.Popen(["true"])
    killed.wait()
    lock(machine, killed.pid, since="2026-01-01T12:00:09.123456789Z")
    objects = {
        name: {"labels": {} if name == "unlabelled" else LABELS, "creationTimestamp": old if name == "older" else new}
        for name in ("keys-1", "unlabelled", "remedy-development", "older", "flyte")
    }
    machine.put(
        "kubectl",
        f"""
import json, sys
if "kube-system" in sys.argv:
    print("{UID}", end="")
elif "secrets" in sys.argv or "namespaces" in sys.argv:
    print('{{"items": []}}')
for name, metadata in {objects}.items():
    if name in sys.argv:
        print(json.dumps({{"metadata": metadata}}))
""",
    )

    result, log = machine.make("up", "dev")

    assert of_pulumi(log)[3] == (
        "refresh --stack dev --yes --skip-preview --clear-pending-creates "
        "--import-pending-creates urn:keys-1 --import-pending-creates flyte/keys-1 "
        "--import-pending-creates urn:remedy-development --import-pending-creates remedy-development "
        "--non-interactive"
    ), result.stderr
    assert of_pulumi(log)[-1].startswith("up ")


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ("", "persistentvolumeclaim/postgres in flyte, which held data, is no longer in the cluster"),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "is being deleted, and its data goes with it"),
    ],
)
def test_a_volume_that_has_disappeared_is_not_silently_replaced_by_an_empty_one(
    machine: Machine, claim: Any, says: str
):
    machine.write_state(
        resources=[{"urn": "urn:p", "type": "kubernetes:core/v1:PersistentVolumeClaim", "id": "flyte/postgres"}]
    )
    answer = json.dumps(claim) if claim else ""
    program = _KUBECTL.format(log=str(machine.folder / "log"), uid=UID)
    machine.put(
        "kubectl", f"import sys\nif 'persistentvolumeclaim' in sys.argv: sys.exit(print({answer!r}))\n{program}"
    )

    rejected, log = machine.make("up", "dev")

    assert rejected.returncode == 1
    assert says in rejected.stderr
    assert "make up STACK=dev EMPTY_VOLUMES=yes" in rejected.stderr
    assert not any(line.startswith("up") for line in of_pulumi(log))
    assert machine.make("up", "dev", "--empty-volumes")[0].returncode == 0
    assert machine.make("destroy", "dev")[0].returncode == 0


_CHECKED = """
import sys
arguments = sys.argv[1:]
if "exec" in arguments and "--container=client" in arguments:
    password = sys.stdin.readline()
    if password != "planted-password\\n":
        sys.exit("flyte-home:postgresPassword: the server rejects the password")
    sys.exit(print("PostgreSQL 17.11"))
if "exec" in arguments:
    sys.exit(print("public.executions|7"))
"""


@pytest.mark.parametrize(
    ("password", "deployed", "options", "says"),
    [
        ("planted-wrong", "ExternalPostgres", [], "flyte-home:postgresPassword: the server rejects the password"),
        ("planted-password", "Postgres", [], "flyte-home:postgres.mode: is 'external', but Flyte has 7 executions"),
        ("planted-password", "Postgres", ["--database-moved"], ""),
        ("planted-password", "ExternalPostgres", [], ""),
    ],
)
def test_a_database_outside_the_stack_is_checked_before_the_update(
    machine: Machine, password: str, deployed: str, options: list[str], says: str
):
    shutil.copytree(ROOT / "scripts", machine.folder / "program" / "scripts")
    place = machine.folder / "program" / "Pulumi.dev.yaml"
    content = yaml.safe_load(place.read_text())
    server = {"host": "db.home.example", "tls": {"mode": "require"}}
    content["config"] |= {
        "flyte-home:postgres": {"mode": "external", "external": server},
        "flyte-home:postgresPassword": {"secure": "v1:AAAAAAAAAAAAAAAA:encrypted"},
    }
    place.write_text(yaml.safe_dump(content))
    machine.write_state(resources=[{"urn": "urn:d", "type": f"flyte-home:index:{deployed}"}])
    program = _PULUMI.format(**{name: str(machine.folder / at) for name, at in _PLACES.items()})
    machine.put(
        "pulumi", f"import sys\nif sys.argv[1:3] == ['config', 'get']: sys.exit(print({password!r}))\n{program}"
    )
    machine.put("kubectl", _CHECKED + _KUBECTL.format(log=str(machine.folder / "log"), uid=UID))

    done, log = machine.make("up", "dev", *options)

    updated = any(line.startswith("up ") for line in of_pulumi(log))
    assert (done.returncode, updated) == ((1, False) if says else (0, True)), done.stderr
    assert says in done.stderr
    assert ("has what Flyte needs: PostgreSQL 17.11" in done.stdout) is not bool(says)
    assert "planted" not in done.stdout + done.stderr + log


@pytest.mark.parametrize("command", ["up", "preview"])
def test_without_the_operator_of_the_database_nothing_is_changed(machine: Machine, command: str):
    place = machine.folder / "program" / "Pulumi.dev.yaml"
    content = yaml.safe_load(place.read_text())
    content["config"] |= {"flyte-home:postgres": {"mode": "cloudnative-pg"}}
    place.write_text(yaml.safe_dump(content))
    program = _KUBECTL.format(log=str(machine.folder / "log"), uid=UID)
    machine.put("kubectl", f"import sys\nif 'customresourcedefinition' in sys.argv: sys.exit(print())\n{program}")

    rejected, log = machine.make(command, "dev")

    assert rejected.returncode == 1
    assert "the cluster does not have this operator. Nothing was changed" in rejected.stderr
    assert not [line for line in of_pulumi(log) if line.startswith(("up", "preview"))]


@pytest.mark.parametrize(("pinned", "refused"), [("another-cluster", True), ("uid-of-the-cluster", False)])
def test_a_pinned_stack_accepts_another_context_only_for_the_same_cluster(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, pinned: str, refused: bool
):
    for name, value in machine.environment.items():
        monkeypatch.setenv(name, value)
    config = {"kubernetes:context": "old", "flyte-home:clusterUid": pinned}

    if refused:
        with pytest.raises(SettingsError, match="nothing was changed"):
            pinning.pin("prod", config, "k3s", dict(os.environ))
    else:
        pinning.pin("prod", config, "k3s", dict(os.environ))

    log = (machine.folder / "log").read_text()
    assert ("config set --stack prod kubernetes:context" in log) is not refused


@pytest.mark.parametrize(
    ("answers", "code", "commands"),
    [
        # The keys are looked at twice: while Pulumi runs, and after it, because it may have repaired them.
        ([[]], 0, [("up",)]),
        ([["flyte"], []], 0, [("up",)]),
        ([["flyte"], ["flyte"]], 0, [("up",), ("up", "Job::minio-provision")]),
        ([["flyte"]], 255, [("up",)]),
    ],
)
def test_a_key_that_the_object_store_rejects_is_repaired_by_the_job_that_set_it(
    monkeypatch: pytest.MonkeyPatch, answers: list[list[str]], code: int, commands: list[tuple[str, ...]]
):
    ran = []

    def perform(_environment: object, _stack: str, *arguments: Any) -> int:
        given = [one.split("::", 2)[2] for one in arguments if "--replace=" in str(one)]
        ran.append((arguments[0], *[one.split("$")[-1].split("/v1:")[-1] for one in given]))
        return code

    monkeypatch.setattr(up, "perform", perform)
    monkeypatch.setattr(up, "_rejected_users", lambda *_: answers.pop(0))

    assert up._update({}, "prod", settings(), FakeCluster()) == code
    assert ran == commands
    assert answers == []


@pytest.mark.parametrize(
    ("config", "lacks"),
    [
        ({}, True),
        ({"flyte-home:tidalCreds": "given"}, False),
        ({"flyte-home:secretManager": '{"type": "K8s"}'}, True),
        # With these, the program rejects a secret that nothing reads.
        ({"flyte-home:secretManager": '{"type": "Global"}'}, False),
        ({"flyte-home:secretManager": '{"type": "Vault"}'}, False),
        ({"flyte-home:secretManager": "Vault"}, True),
        ({"flyte-home:secretManager": "[]"}, True),
    ],
)
def test_the_trial_stack_gets_a_sample_only_if_its_tasks_read_it(config: dict[str, str], lacks: bool):
    assert up._lacks_a_sample(config) is lacks

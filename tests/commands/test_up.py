"""``make up``: what the first run sets up, and what is never guessed."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ops import up
from ops.lib import engine, pinning
from ops.tools import TOOLS
from settings.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent.parent


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


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, str]:
    """An environment with a ``pulumi`` and a ``kubectl`` that write down how they were called, and with what input."""
    log = tmp_path / "log"
    (tmp_path / "bin").mkdir()
    for name, answer in (("pulumi", '[ "$1" != whoami ]'), ("kubectl", "printf uid-of-the-cluster")):
        tool = tmp_path / "bin" / name
        tool.write_text(
            f'#!/bin/sh\necho "{name} $*" >>{log}\n'
            f'case "$1" in config) printf "  input: " >>{log}; cat >>{log}; echo >>{log} ;; esac\n{answer}\n'
        )
        tool.chmod(0o755)
    (tmp_path / "kubeconfig").write_text('{"contexts": [{"name": "k3s"}]}')
    for name in ("kubernetes", "random"):
        plugin = TOOLS[f"pulumi-resource-{name}"]
        folder = tmp_path / "pulumi" / "plugins" / f"resource-{name}-v{plugin.version}"
        folder.mkdir(parents=True)
        (folder / plugin.name).touch()
    return {
        "FLYTE_HOME_BIN": str(tmp_path / "fetched"),
        "FLYTE_HOME_MIRROR": "file:///nowhere",
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "PULUMI_BACKEND_URL": "file:///nowhere",
        "LOG": str(log),
        "HOME": os.environ.get("HOME", "/"),
    }


def make(tools: dict[str, str], command: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], str]:
    result = subprocess.run(
        [sys.executable, "-m", f"ops.{command}", *arguments],
        cwd=ROOT,
        env=tools,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    log = Path(tools["LOG"])
    # Questions about their versions are tested in test_ops_tools.py.
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    return result, "".join(
        line for line in lines if line.split()[:2] not in (["pulumi", "version"], ["kubectl", "version"])
    )


def test_the_first_run_pins_the_cluster_and_then_updates(tools: dict[str, str]):
    result, log = make(tools, "up", "dev")

    assert result.returncode == 0, result.stderr
    calls = [line for line in log.splitlines() if not line.startswith("pulumi whoami")]
    assert calls[0] == "pulumi stack select dev --create --non-interactive"
    assert calls[1].startswith(f"kubectl --kubeconfig {tools['KUBECONFIG']} --context k3s get namespace kube-system")
    assert calls[2] == "pulumi config set --stack dev kubernetes:context --non-interactive"
    assert calls[3] == "  input: k3s"
    assert calls[4] == "pulumi config set --stack dev flyte-home:clusterUid --non-interactive"
    assert calls[5] == "  input: uid-of-the-cluster"
    assert calls[6] == "pulumi up --yes --stack dev"
    assert len(calls) == 7


def test_destroy_runs_the_program_with_its_fence(tools: dict[str, str]):
    _, log = make(tools, "destroy", "dev")

    assert log.splitlines()[-1] == "pulumi destroy --run-program --yes --stack dev"
    assert "config set" not in log
    assert "--create" not in log


def test_preview_changes_nothing(tools: dict[str, str]):
    _, log = make(tools, "preview", "dev")

    assert log.splitlines()[-1] == "pulumi preview --diff --stack dev"
    assert "config set" not in log


def test_a_refresh_runs_the_program_with_its_fence(tools: dict[str, str]):
    _, log = make(tools, "up", "dev", "--refresh")

    assert log.splitlines()[-1] == "pulumi up --refresh --run-program --yes --stack dev"


def test_without_pulumi_and_a_network_the_message_names_the_target_that_still_works(tools: dict[str, str]):
    result, log = make(tools | {"PATH": ""}, "up", "dev")

    assert result.returncode == 1
    assert "pulumi 3.250.0: cannot download file:///nowhere/pulumi-v3.250.0-" in result.stderr
    assert "make render works without it" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert log == ""


def test_the_message_names_a_cluster_that_does_not_answer(tools: dict[str, str]):
    kubectl = Path(tools["PATH"].split(":")[0], "kubectl")
    kubectl.write_text("#!/bin/sh\necho connection refused >&2\nexit 1\n")

    result, log = make(tools, "up", "dev")

    assert result.returncode == 1
    assert "the cluster of 'k3s' does not answer: connection refused" in result.stderr
    assert "pulumi up" not in log


def test_the_command_fails_if_pulumi_fails(tools: dict[str, str]):
    pulumi = Path(tools["PATH"].split(":")[0], "pulumi")
    pulumi.write_text('#!/bin/sh\ncase "$1" in up) exit 7 ;; esac\n')

    assert make(tools, "up", "dev")[0].returncode == 7


@pytest.mark.parametrize(("pinned", "refused"), [("another-cluster", True), ("uid-of-the-cluster", False)])
def test_a_pinned_stack_accepts_another_context_only_for_the_same_cluster(
    monkeypatch: pytest.MonkeyPatch, tools: dict[str, str], pinned: str, refused: bool
):
    for name, value in tools.items():
        monkeypatch.setenv(name, value)
    config = {"kubernetes:context": "old", "flyte-home:clusterUid": pinned}

    if refused:
        with pytest.raises(SettingsError, match="nothing was changed"):
            pinning.pin("prod", config, "k3s", dict(os.environ))
    else:
        pinning.pin("prod", config, "k3s", dict(os.environ))

    assert ("config set --stack prod kubernetes:context" in Path(tools["LOG"]).read_text()) is not refused


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

    def run(_environment: object, _stack: str, *arguments: str) -> int:
        replaced = [one.split("::", 2)[2].split("$")[-1].split("/v1:")[-1] for one in arguments if "--replace=" in one]
        ran.append((arguments[0], *replaced))
        return code

    monkeypatch.setattr(up, "run", run)
    monkeypatch.setattr(up, "_rejected_users", lambda _stack: answers.pop(0))
    for name in ("pulumi", "pin_or_create", "set_config"):
        monkeypatch.setattr(up, name, lambda *_, **__: None)
    monkeypatch.setattr(up, "engine_environment", dict)
    monkeypatch.setattr(sys, "argv", ["up", "prod"])

    assert up.main() == code
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

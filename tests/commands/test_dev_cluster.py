"""``make cluster``: how it creates a cluster, and when it does not; the programs that it starts are fakes."""

import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ops.lib import dev_cluster, pinning
from settings.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent.parent
# Writes down how it was called; a file of its name and first arguments is what it says, `fails` of that name its end.
STAND_IN = """#!/bin/sh
name=${{0##*/}}
case "$name $*" in
  "kubectl config view"*) [ ! -f "{folder}/$name $1 $2 fails" ] || exit 1; cat "${{KUBECONFIG%%:*}}"; exit ;;
  *" version"*) exit ;;
esac
echo "$name $*" >>{folder}/calls
case "$name" in sudo) "$@"; exit ;; esac
for key in "$name $1 $2 $3" "$name $1 $2" "$name $1"; do
  [ ! -f "{folder}/$key" ] || cat "{folder}/$key"
  [ ! -f "{folder}/$key fails" ] || {{ echo "$name is out of order" >&2; exit 1; }}
done
"""
K3S_CONFIG = """
clusters: [{name: default, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: default, user: {client-key-data: planted-key}}]
contexts: [{name: default, context: {cluster: default, user: default}}]
current-context: default
"""


@dataclass(frozen=True)
class Machine:
    """A machine with the programs that a test puts there, and no others."""

    folder: Path

    def install(self, *names: str) -> None:
        for name in names:
            program = self.folder / "bin" / name
            program.write_text(STAND_IN.format(folder=self.folder))
            program.chmod(0o755)

    def says(self, command: str, text: str) -> None:
        (self.folder / command).write_text(f"{text}\n")

    def fails(self, command: str) -> None:
        (self.folder / f"{command} fails").touch()

    def has(self, label: str) -> None:
        """A container with this label."""
        docker = self.folder / "bin" / "docker"
        lines = docker.read_text().splitlines()
        lines.insert(1, f'case "$*" in "ps "*{label}*) echo 0123456789ab ;; esac')
        docker.write_text("\n".join(lines) + "\n")

    def answers(self, *contexts: str) -> None:
        """The contexts of the kubeconfig, all of clusters that answer."""
        self.contexts(*contexts)
        for context in contexts:
            self.says(f"kubectl --context {context} get", "namespace/kube-system")

    def contexts(self, *contexts: str) -> None:
        (self.folder / "kubeconfig").write_text(yaml.safe_dump({"contexts": [{"name": name} for name in contexts]}))

    @property
    def calls(self) -> list[str]:
        """The commands that change something; not the questions."""
        calls = self.folder / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        asked = ("docker info", "docker ps", "kubectl --context", "kubectl config current-context")
        return [line for line in lines if not line.startswith(asked)]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("sh", "cat"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    made.install("kubectl")
    made.contexts()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("FLYTE_HOME_MIRROR", "file:///nowhere")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("ops.tools.BIN", tmp_path / "fetched")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr(dev_cluster.K3s, "_uninstall", tmp_path / "bin" / "k3s-flyte-home-dev-uninstall.sh")
    return made


def with_docker(machine: Machine, *programs: str) -> None:
    machine.install("docker", *programs)
    machine.says("docker info", "Server Version: 29.0.0")


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> list[str]:
    """A user at the terminal who gives this answer; the list collects the questions."""
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", ask)
    return asked


def test_k3d_creates_the_pinned_kubernetes_and_keeps_the_current_context(machine: Machine):
    with_docker(machine, "k3d", "kind")
    machine.answers("k3d-flyte-home-dev")

    assert dev_cluster.create() == "k3d-flyte-home-dev"
    assert machine.calls == [
        "k3d cluster create flyte-home-dev --image rancher/k3s:v1.36.4-k3s1 --wait --timeout 300s "
        "--kubeconfig-switch-context=false"
    ]


@pytest.mark.parametrize("current", ["work", ""])
def test_kind_creates_the_cluster_and_the_current_context_is_restored(current: str, machine: Machine):
    with_docker(machine, "kind")
    if current:
        machine.says("kubectl config current-context", current)
    machine.answers("kind-flyte-home-dev")

    assert dev_cluster.create() == "kind-flyte-home-dev"
    assert machine.calls == [
        "kind create cluster --name flyte-home-dev --wait 180s",
        *([f"kubectl config use-context {current}"] if current else []),
    ]


def test_kind_is_downloaded_if_neither_program_is_installed(machine: Machine):
    with_docker(machine)

    with pytest.raises(SettingsError, match=r"kind 0\.32\.0: cannot download file:///nowhere/kind-v0\.32\.0-linux-"):
        dev_cluster.create()


def test_an_existing_cluster_is_found_and_not_changed(machine: Machine):
    with_docker(machine, "kind")
    machine.has("io.x-k8s.kind.cluster=flyte-home-dev")
    machine.answers("kind-flyte-home-dev")

    assert dev_cluster.create() == "kind-flyte-home-dev"
    assert machine.calls == []


@pytest.mark.parametrize(
    ("program", "label", "commands"),
    [
        (
            "kind",
            "io.x-k8s.kind.cluster=flyte-home-dev",
            ["docker start flyte-home-dev-control-plane", "kind export kubeconfig --name flyte-home-dev"],
        ),
        (
            "k3d",
            "k3d.cluster=flyte-home-dev",
            [
                "k3d cluster start flyte-home-dev",
                "k3d kubeconfig merge flyte-home-dev --kubeconfig-merge-default --kubeconfig-switch-context=false",
            ],
        ),
    ],
)
def test_a_stopped_cluster_is_started_by_the_program_that_created_it(
    program: str, label: str, commands: list[str], machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    with_docker(machine, "k3d", "kind")
    machine.has(label)
    answering = iter([False, False, True])
    monkeypatch.setattr(dev_cluster, "answers", lambda _context: next(answering))

    assert dev_cluster.create() == f"{program}-flyte-home-dev"
    assert machine.calls == commands


def test_the_message_names_a_cluster_that_does_not_come_up(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    with_docker(machine, "kind")
    monkeypatch.setattr(dev_cluster, "_START_SECONDS", 0)

    with pytest.raises(SettingsError, match="kubectl --context kind-flyte-home-dev get nodes shows why"):
        dev_cluster.create()


def test_the_message_names_the_command_that_failed(machine: Machine):
    with_docker(machine, "kind")
    machine.fails("kind create cluster")

    with pytest.raises(SettingsError, match="kind create cluster failed, see above"):
        dev_cluster.create()


def test_the_message_names_the_missing_program_that_created_the_cluster(machine: Machine):
    with_docker(machine)
    machine.has("k3d.cluster=flyte-home-dev")

    with pytest.raises(SettingsError, match="k3d is not on the PATH, but the cluster flyte-home-dev was created"):
        dev_cluster.delete()


@pytest.mark.parametrize(
    ("installed", "said"), [(True, "does not answer; start it"), (False, "is not installed, see https")]
)
def test_without_docker_three_lines_explain_what_is_missing_and_nothing_runs_as_root(
    installed: bool, said: str, machine: Machine
):
    machine.install("sudo", *(["docker"] if installed else []))
    if installed:
        machine.fails("docker info")

    with pytest.raises(SettingsError) as refused:
        dev_cluster.create()

    lines = str(refused.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"No cluster can be created on this machine: Docker {said}")
    assert lines[1].startswith("make cluster K3S=1 installs k3s as a system service instead, with sudo")
    assert lines[2].startswith("make render STACK=dev")
    assert machine.calls == []


@pytest.fixture
def installer(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine on which the installer of k3s only writes down what it was told."""
    machine.install("sudo")
    script = machine.folder / "installer"
    script.mkdir()
    (script / "k3s-install").write_text(
        f'echo "installer $INSTALL_K3S_VERSION $INSTALL_K3S_NAME $*" >>{machine.folder}/calls\n'
        f'echo "echo uninstalled >>{machine.folder}/calls" >{dev_cluster._SERVICE._uninstall}\n'
    )
    (machine.folder / "k3s.yaml").write_text(K3S_CONFIG)
    monkeypatch.setattr("ops.tools.Tool.fetch", lambda _tool: script)
    monkeypatch.setattr(dev_cluster.K3s, "_kubeconfig", str(machine.folder / "k3s.yaml"))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    # This test is about the kubeconfig, not about a cluster that answers.
    monkeypatch.setattr(dev_cluster, "_wait_for", lambda _context: None)
    return machine


def test_k3s_is_installed_on_request_and_its_context_is_added_to_the_users_kubeconfig(installer: Machine):
    assert dev_cluster.create(k3s=True) == "flyte-home-dev"

    assert installer.calls == [
        "installer v1.36.4+k3s1 flyte-home-dev server",
        f"sudo cat {installer.folder}/k3s.yaml",
    ]
    kubeconfig = installer.folder / "kubeconfig"
    merged = yaml.safe_load(kubeconfig.read_text())
    assert merged["contexts"] == [
        {"name": "flyte-home-dev", "context": {"cluster": "flyte-home-dev", "user": "flyte-home-dev"}}
    ]
    assert "current-context" not in merged
    assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
    assert not list(installer.folder.glob(".k3s-*"))


def test_a_kubeconfig_that_kubectl_cannot_read_is_not_replaced(installer: Machine):
    installer.contexts("work")
    installer.fails("kubectl config view")

    with pytest.raises(SettingsError, match="which was not changed"):
        dev_cluster.create(k3s=True)

    assert "work" in (installer.folder / "kubeconfig").read_text()


@pytest.mark.parametrize("answer", ["y", "", "no"])
def test_k3s_is_offered_at_a_terminal_if_docker_does_not_answer(
    answer: str, installer: Machine, monkeypatch: pytest.MonkeyPatch
):
    asked = on_a_terminal(monkeypatch, answer)

    if answer == "y":
        assert dev_cluster.create() == "flyte-home-dev"
    else:
        with pytest.raises(SettingsError, match="No cluster can be created"):
            dev_cluster.create()

    assert asked == [
        "Docker is not installed, see https://docs.docker.com/get-started/get-docker/. "
        "Or install k3s as a system service, with sudo? [y/N] "
    ]
    assert bool(installer.calls) is (answer == "y")


def test_another_k3s_is_not_changed(installer: Machine):
    installer.install("k3s")

    with pytest.raises(SettingsError, match="k3s is installed already and nothing was changed"):
        dev_cluster.create(k3s=True)

    assert installer.calls == []


def test_a_stopped_k3s_is_started_and_its_context_is_added_again(installer: Machine):
    dev_cluster._SERVICE._uninstall.touch()
    installer.install("systemctl")

    assert dev_cluster.create() == "flyte-home-dev"
    assert installer.calls[:2] == [
        "sudo systemctl start k3s-flyte-home-dev",
        "systemctl start k3s-flyte-home-dev",
    ]


def test_delete_removes_the_cluster_and_prints_how_to_start_over(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with_docker(machine, "kind")
    machine.has("io.x-k8s.kind.cluster=flyte-home-dev")
    monkeypatch.setattr(
        dev_cluster, "stack_config", lambda _stack: ({"kubernetes:context": "kind-flyte-home-dev"}, set())
    )

    dev_cluster.delete()

    assert machine.calls == ["kind delete cluster --name flyte-home-dev"]
    assert "pulumi config rm flyte-home:clusterUid --stack dev && pulumi stack rm dev" in capsys.readouterr().out


def test_delete_reports_that_there_is_no_cluster(machine: Machine):
    with_docker(machine, "kind", "k3d")

    with pytest.raises(SettingsError, match="no cluster flyte-home-dev"):
        dev_cluster.delete()

    assert machine.calls == []


def pinned(monkeypatch: pytest.MonkeyPatch, *unreachable: str) -> list[str]:
    """What `make up` would pin the stack to, one after the other."""
    contexts: list[str] = []

    def pin(_stack: str, _config: object, asked: str, _environment: object) -> None:
        contexts.append(asked)
        if asked in unreachable:
            raise SettingsError("kubernetes:context: no cluster answers")

    monkeypatch.setattr(pinning, "pin", pin)
    return contexts


def make_up(stack: str = "dev", asked: str = "", **config: str) -> None:
    pinning.pin_or_create(stack, {key.replace("__", ":"): value for key, value in config.items()}, asked, os.environ)


def test_up_offers_to_create_a_cluster_if_none_answers_and_deploys_to_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    with_docker(machine, "kind")
    machine.contexts("gone")
    monkeypatch.setattr(dev_cluster, "_wait_for", lambda _context: None)
    contexts = pinned(monkeypatch, "")
    asked = on_a_terminal(monkeypatch, "y")

    make_up()

    assert contexts == ["", "kind-flyte-home-dev"]
    assert asked == [
        "kubernetes:context: no cluster answers\nCreate or start the cluster flyte-home-dev on this machine? [y/N] "
    ]


@pytest.mark.parametrize("who", ["no terminal", "a user who declines", "a job of CI"])
def test_nothing_is_created_without_consent(who: str, machine: Machine, monkeypatch: pytest.MonkeyPatch):
    with_docker(machine, "kind", "k3d")
    pinned(monkeypatch, "")
    if who != "no terminal":
        on_a_terminal(monkeypatch, "n" if who == "a user who declines" else "y")
    if who == "a job of CI":
        monkeypatch.setenv("CI", "true")

    with pytest.raises(SettingsError) as refused:
        make_up()

    lines = str(refused.value).splitlines()
    assert lines[0] == "kubernetes:context: no cluster answers"
    assert lines[1].startswith("make cluster creates one on this machine, in Docker")
    assert lines[2].startswith("make render STACK=dev")
    assert machine.calls == []


def test_a_cluster_that_answers_is_never_replaced(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    with_docker(machine, "kind")
    machine.answers("work", "home")
    pinned(monkeypatch, "")  # as where it is not clear which is meant
    asked = on_a_terminal(monkeypatch, "y")

    with pytest.raises(SettingsError, match=r"no cluster answers$"):
        make_up()

    assert asked == []
    assert machine.calls == []


@pytest.mark.parametrize(
    "given",
    [
        {"stack": "prod"},
        {"asked": "gone"},
        {"flyte-home__clusterUid": "pinned"},
        {"kubernetes__kubeconfig": "elsewhere"},
    ],
    ids=["another stack", "a context that was asked for", "a pinned stack", "a kubeconfig of its own"],
)
def test_a_cluster_is_offered_only_for_the_trial_stack_without_a_cluster(
    given: dict[str, str], machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    with_docker(machine, "kind")
    pinned(monkeypatch, "", "gone")
    asked = on_a_terminal(monkeypatch, "y")

    with pytest.raises(SettingsError, match=r"no cluster answers$"):
        make_up(**given)

    assert asked == []


def test_the_cluster_created_for_the_trial_stack_is_chosen_among_several(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    machine.answers("work", "kind-flyte-home-dev", "home")
    contexts = pinned(monkeypatch)

    make_up()

    assert contexts == ["kind-flyte-home-dev"]


def test_the_command_creates_the_cluster_and_prints_the_next_step(machine: Machine):
    with_docker(machine, "k3d")
    machine.answers("k3d-flyte-home-dev")

    def run(module: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", module]
        return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    made = run("ops.cluster")
    assert made.returncode == 0, made.stderr
    assert "make up STACK=dev CONTEXT=k3d-flyte-home-dev deploys to it" in made.stdout

    gone = run("ops.cluster_delete")
    assert gone.returncode == 1
    assert "There is no cluster flyte-home-dev" in gone.stderr
    assert "Traceback" not in gone.stderr

"""``make ci-release`` and ``make ci-diagnostics``: what a job on a new cluster does besides the usual commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.ci import diagnostics, release
from ops.lib import worktree
from ops.lib.kubectl import Cluster
from settings.errors import SettingsError
from tests.conftest import stack
from tests.kubectl import FakeCluster

STACK_FILE = "# The stack.\nconfig:\n  kubernetes:context: flyte-home-dev\n  flyte-home:projects:\n    - name: remedy\n"
# Stands for the `make up` of a release: pins the stack to its cluster, and writes down what it was given.
MAKEFILE = """up:
\t@sed -i.bak 's/flyte-home-dev/kind/; $$a\\  flyte-home:clusterUid: uid-1' Pulumi.$(STACK).yaml
\t@env > $(LOG)
\t@exit $(CODE)
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@home.example", "-c", "commit.gpgsign=false")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def commit(folder: Path, message: str, **files: str) -> None:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--allow-empty", "--quiet", "--message", message)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with a release v0.9.0 and a commit after it."""
    folder = tmp_path / "clone"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    git(folder, "init", "--quiet")
    commit(folder, "first", Makefile=MAKEFILE, Pulumi__dev__yaml=STACK_FILE)
    git(folder, "tag", "v0.9.0")
    commit(folder, "second", Pulumi__dev__yaml=STACK_FILE.replace("# The stack.", "# The stack, described better."))
    return folder


def test_the_last_release_before_this_commit_is_found(repository: Path):
    assert release.last_release(repository) == "v0.9.0"
    git(repository, "tag", "verified")
    git(repository, "tag", "v0.10.0")
    assert release.last_release(repository) == "v0.9.0"
    commit(repository, "third")
    assert release.last_release(repository) == "v0.10.0"


def test_a_clone_without_releases_has_none(repository: Path):
    git(repository, "tag", "--delete", "v0.9.0")

    assert release.last_release(repository) == ""


def test_a_shallow_clone_is_not_mistaken_for_one_without_releases(repository: Path, tmp_path: Path):
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")

    with pytest.raises(SettingsError, match="so it is unknown which release is the last: git fetch --unshallow"):
        release.last_release(tmp_path / "shallow")


def deploy(repository: Path, code: int = 0, tag: str = "v0.9.0") -> tuple[int, dict[str, str]]:
    """The exit code, and the environment in which `make up` of the release ran."""
    log = repository.parent / "environment"
    given = os.environ | {"LOG": str(log), "CODE": str(code), "MAKEFLAGS": "n", "PULUMI_BACKEND_URL": "file:///state"}
    result = release.deploy("dev", tag, given, repository)
    return result, dict(line.split("=", 1) for line in log.read_text().splitlines() if "=" in line)


@pytest.mark.parametrize("code", [0, 1])
def test_the_release_uses_the_state_of_the_clone_and_its_changes_of_the_stack_file_are_merged(
    code: int, repository: Path
):
    result, environment = deploy(repository, code)

    assert bool(result) is bool(code)
    assert environment["PULUMI_BACKEND_URL"] == "file:///state"
    assert environment["FLYTE_HOME_BIN"] == str(worktree.BIN)
    assert (repository / "Pulumi.dev.yaml").read_text() == (
        STACK_FILE.replace("The stack.", "The stack, described better.").replace("flyte-home-dev", "kind")
        + "  flyte-home:clusterUid: uid-1\n"
    )
    assert git(repository, "worktree", "list").count("\n") == 0
    assert git(repository, "status", "--short") == "M Pulumi.dev.yaml"


def test_a_stack_file_that_does_not_fit_is_left_with_conflicts(repository: Path):
    commit(repository, "third", Pulumi__dev__yaml=STACK_FILE.replace("flyte-home-dev", "another"))

    with pytest.raises(SettingsError, match=r"resolve the conflicts in Pulumi\.dev\.yaml, as after git pull"):
        deploy(repository)

    assert "<<<<<<<" in (repository / "Pulumi.dev.yaml").read_text()


def test_a_release_that_does_not_exist_is_named(repository: Path):
    with pytest.raises(SettingsError, match=r"RELEASE: git cannot check out 'v7': .*v7"):
        deploy(repository, tag="v7")


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tag: str, **changed: str | None) -> tuple[int, str]:
    """The exit code of the command line, and the outputs of the step."""
    output = tmp_path / "output"
    output.touch()
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    monkeypatch.setattr(release, "stack_config", lambda _stack: stack(**changed))
    monkeypatch.setattr(release, "last_release", lambda: tag)
    monkeypatch.setattr(release, "engine_environment", dict)
    monkeypatch.setattr(release, "deploy", lambda *_: 0)
    monkeypatch.setattr(sys, "argv", ["release", "dev"])
    return release.main(), output.read_text()


def test_the_step_has_the_release_as_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert run(monkeypatch, tmp_path, "v0.9.0", clusterUid=None) == (0, "release=v0.9.0\n")


@pytest.mark.parametrize(("on_github", "begins"), [("true", "::warning::"), ("", "remark  ")])
def test_without_a_release_the_command_says_so_and_the_output_is_empty(
    on_github: str, begins: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("GITHUB_ACTIONS", on_github)

    assert run(monkeypatch, tmp_path, "", clusterUid=None) == (0, "")
    assert capsys.readouterr().out.startswith(f"{begins}there is no tag v* before this commit, so there is no release")


def test_a_stack_that_was_deployed_is_never_given_to_an_older_release(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(monkeypatch, tmp_path, "v0.9.0") == (1, "")
    assert "STACK: 'dev' belongs to a cluster already" in capsys.readouterr().err


def test_the_diagnostics_are_three_files_without_logs_and_contents(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    cluster = FakeCluster()
    cluster.on("get events --all-namespaces", "BackOff\n")
    monkeypatch.setattr(diagnostics, "stack_config", lambda _stack: stack())
    monkeypatch.setattr(Cluster, "of", lambda *_: cluster)
    monkeypatch.setattr(diagnostics, "_doctor", lambda _stack: json.dumps([{"check": "rights"}]))
    monkeypatch.setattr(sys, "argv", ["diagnostics", "dev", str(tmp_path / "reports")])

    assert diagnostics.main() == 0
    written = {file.name: file.read_text() for file in (tmp_path / "reports").iterdir()}
    assert set(written) == {"events.txt", "objects.txt", "doctor.json"}
    assert written["events.txt"] == "BackOff\n"
    assert "unexpected: get nodes" in written["objects.txt"]  # the error of a cluster that does not answer
    kinds = {kind for arguments in diagnostics._LISTS.values() for kind in arguments[0].split(",")}
    assert kinds & {"secrets", "configmaps", "all"} == set()
    assert not any(
        "json" in argument or "yaml" in argument for found in diagnostics._LISTS.values() for argument in found
    )

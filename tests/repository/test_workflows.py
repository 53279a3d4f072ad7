"""The workflows of GitHub: what two public linters say of them, and what no linter knows."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from paths import ROOT
from tests.tools import require

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FILES = [*WORKFLOWS, *sorted(GITHUB.glob("actions/*/action.yml"))]


def jobs() -> list[tuple[str, dict[str, Any]]]:
    """Every job of every workflow, by a name for messages."""
    return [
        (f"{file.name}: {name}", job)
        for file in WORKFLOWS
        for name, job in yaml.safe_load(file.read_text())["jobs"].items()
    ]


def actionlint(folder: Path) -> str:
    # It looks for shellcheck itself, and finds the environment's.
    command = [require("actionlint"), "-no-color", f"-shellcheck={require('shellcheck')}"]
    files = sorted((folder / ".github" / "workflows").glob("*.yml"))
    return subprocess.run([*command, *files], cwd=folder, capture_output=True, text=True, check=False).stdout


def zizmor(folder: Path) -> str:
    # --offline: what it would ask GitHub is whether a pin is a release; Renovate sees to that.
    command = [require("zizmor"), "--offline", "--persona=auditor", "--no-progress", "--format=plain", ".github"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return "" if answer.returncode == 0 else answer.stdout + answer.stderr


LINTERS = {"actionlint": actionlint, "zizmor": zizmor}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The workflows in a repository of their own."""
    shutil.copytree(GITHUB, tmp_path / ".github")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


@pytest.mark.parametrize("linter", LINTERS)
def test_a_linter_finds_nothing(linter: str, copy: Path):
    assert LINTERS[linter](copy) == ""


@pytest.mark.parametrize("linter", LINTERS)
def test_a_command_that_a_title_could_write_would_be_found(linter: str, copy: Path):
    workflow = copy / ".github" / "workflows" / "preview.yml"
    text = workflow.read_text()
    worse = text.replace('BASE="origin/$BASE_REF"', 'BASE="${{ github.event.pull_request.title }}"')
    assert worse != text
    workflow.write_text(worse)

    assert "preview.yml" in LINTERS[linter](copy)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(GITHUB)))
def test_every_action_from_outside_is_pinned_to_a_commit_and_says_its_version(file: Path):
    outside = [line for line in file.read_text().splitlines() if "uses:" in line and "uses: ./" not in line]

    assert [line for line in outside if not re.search(r"@[0-9a-f]{40} # v\d+(\.\d+)+$", line)] == []


def test_the_same_action_has_the_same_pin_everywhere():
    pins = {match.groups() for file in FILES for match in re.finditer(r"uses: ([\w/-]+)@(\w+)", file.read_text())}

    assert len(pins) == len({action for action, _ in pins})


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_nothing_is_permitted_but_what_a_job_asks_for(file: Path):
    assert yaml.safe_load(file.read_text())["permissions"] == {}


def test_every_job_ends_and_says_what_it_may():
    for name, job in jobs():
        assert job["timeout-minutes"] <= 90, name
        assert "contents" in job["permissions"], name


def test_no_job_may_write_and_run_what_a_pull_request_brings_with_secrets():
    for name, job in jobs():
        writes = "write" in {value for key, value in job["permissions"].items() if key != "id-token"}
        assert not (writes and "secrets." in yaml.safe_dump(job)), name


def test_only_jobs_that_forks_cannot_start_get_secrets_or_prove_who_they_are():
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    for name, job in jobs():
        if "secrets." in yaml.safe_dump(job) or "id-token" in job["permissions"]:
            assert own in job["if"] or name.startswith("drift.yml"), name
    assert not [file.name for file in WORKFLOWS if "pull_request_target" in file.read_text()]


def test_every_command_is_a_make_target_or_the_test_command():
    commands = [step["run"] for _, job in jobs() for step in job["steps"] if "run" in step]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert len(commands) > 6
    for command in commands:
        assert command == ".ci/run" or re.fullmatch(r"make ([a-z-]+)( [A-Z_]+=\"[^\"]*\")*", command), command
        assert command == ".ci/run" or command.split()[1] in targets, command


def test_pulumi_is_installed_as_it_is_pinned():
    (pinned,) = re.findall(r'"pulumi==([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    setup = yaml.safe_load((GITHUB / "actions" / "setup" / "action.yml").read_text())
    (version,) = [step["with"]["pulumi-version"] for step in setup["runs"]["steps"] if "pulumi" in step["uses"]]

    assert version == pinned

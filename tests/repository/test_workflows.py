"""The GitHub workflows: two public linters find nothing in them, and they follow rules that no linter checks."""

import json
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
    """Every job of every workflow, with a name for messages."""
    return [
        (f"{file.name}: {name}", job)
        for file in WORKFLOWS
        for name, job in yaml.safe_load(file.read_text())["jobs"].items()
    ]


def actionlint(folder: Path) -> str:
    # The option makes actionlint use the environment's shellcheck.
    command = [require("actionlint"), "-no-color", f"-shellcheck={require('shellcheck')}"]
    files = sorted((folder / ".github" / "workflows").glob("*.yml"))
    return subprocess.run([*command, *files], cwd=folder, capture_output=True, text=True, check=False).stdout


def zizmor(folder: Path) -> str:
    # --offline skips only the check on GitHub whether a pin is a release; Renovate does that.
    command = [require("zizmor"), "--offline", "--persona=auditor", "--no-progress", "--format=plain", ".github"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return "" if answer.returncode == 0 else answer.stdout + answer.stderr


LINTERS = {"actionlint": actionlint, "zizmor": zizmor}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A new repository with a copy of the workflows."""
    shutil.copytree(GITHUB, tmp_path / ".github")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


@pytest.mark.parametrize("linter", LINTERS)
def test_the_linters_find_nothing(linter: str, copy: Path):
    assert LINTERS[linter](copy) == ""


@pytest.mark.parametrize("linter", LINTERS)
def test_the_linters_find_a_command_that_a_pull_request_title_could_inject(linter: str, copy: Path):
    workflow = copy / ".github" / "workflows" / "preview.yml"
    text = workflow.read_text()
    worse = text.replace('BASE="origin/$BASE_REF"', 'BASE="${{ github.event.pull_request.title }}"')
    assert worse != text
    workflow.write_text(worse)

    assert "preview.yml" in LINTERS[linter](copy)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(GITHUB)))
def test_every_external_action_is_pinned_to_a_commit_with_its_version_in_a_comment(file: Path):
    outside = [line for line in file.read_text().splitlines() if "uses:" in line and "uses: ./" not in line]

    assert [line for line in outside if not re.search(r"@[0-9a-f]{40} # v\d+(\.\d+)+$", line)] == []


def test_an_action_has_the_same_pin_everywhere():
    pins = {match.groups() for file in FILES for match in re.finditer(r"uses: ([\w/-]+)@(\w+)", file.read_text())}

    assert len(pins) == len({action for action, _ in pins})


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_have_no_permissions_beyond_those_of_their_jobs(file: Path):
    assert yaml.safe_load(file.read_text())["permissions"] == {}


def test_every_job_has_a_timeout_and_declares_its_permissions():
    for name, job in jobs():
        assert job["timeout-minutes"] <= 90, name
        assert "contents" in job["permissions"], name


def test_no_job_has_both_write_permissions_and_secrets():
    for name, job in jobs():
        writes = "write" in {value for key, value in job["permissions"].items() if key != "id-token"}
        assert not (writes and "secrets." in yaml.safe_dump(job)), name


def test_only_jobs_that_forks_cannot_start_get_secrets_or_identity_tokens():
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    for name, job in jobs():
        if "secrets." in yaml.safe_dump(job) or "id-token" in job["permissions"]:
            assert own in job["if"] or name.startswith("drift.yml"), name
    assert not [file.name for file in WORKFLOWS if "pull_request_target" in file.read_text()]


OWN = "me/home"
A_PERSONS = {
    "vars.STACKS": '["prod"]',
    "vars.RUNNER": '["self-hosted"]',
    "github.repository": OWN,
    "github.head_ref": "more-memory",
    "github.event.repository.private": True,
    "github.event.sender.type": "User",
    "github.event.pull_request.user.type": "User",
    "github.event.pull_request.head.repo.full_name": OWN,
}


def evaluated(expression: str, **different: Any) -> Any:
    """The value of an expression of GitHub for a person's pull request; keywords replace parts of names, as in `of`."""
    context = A_PERSONS | of(**different)
    text = re.sub(r"^\$\{\{ fromJSON\((.*)\) \}\}$", r"\1", expression)
    text = re.sub(r"\b(?:github|vars)(?:\.\w+)+", lambda found: f"context[{found[0]!r}]", text)
    text = text.replace("&&", " and ").replace("||", " or ").replace("!starts", " not starts")
    functions = {"startsWith": lambda value, start: str(value).lower().startswith(start)}
    return eval(text, {"__builtins__": {}}, {"context": context, **functions})  # noqa: S307 (of this repository)


def of(**different: Any) -> dict[str, Any]:
    """Values by name; ``head_ref`` stands for the only name in `A_PERSONS` that ends so."""
    found = {}
    for part, value in different.items():
        (name,) = [name for name in A_PERSONS if name.endswith(part.replace("__", "."))]
        found[name] = value
    return found


def preview() -> dict[str, Any]:
    return dict(jobs())["preview.yml: preview"]


def test_a_pull_request_of_a_person_is_previewed():
    assert evaluated(preview()["if"])


@pytest.mark.parametrize(
    "different",
    [
        {"STACKS": ""},
        {"full_name": "somebody/home"},
        {"full_name": None},  # of a fork that has been deleted
        {"pull_request__user__type": "Bot"},  # also when a person labels it, or pushes to its branch
        {"sender__type": "Bot"},  # pushes to the branch of a person
        {"head_ref": "renovate/pulumi-3.x"},  # also of a Renovate that uses the token of a person
        {"head_ref": "Renovate/pulumi-3.x"},
        {"head_ref": "dependabot/pip/pulumi"},
    ],
    ids=str,
)
def test_no_preview_with_credentials_runs_for_forks_and_bots(different: dict[str, Any]):
    assert not evaluated(preview()["if"], **different)


def test_the_branches_of_renovate_have_the_prefix_that_the_workflow_excludes():
    prefix = json.loads((ROOT / "renovate.json").read_text())["branchPrefix"]

    assert f"!startsWith(github.head_ref, '{prefix}')" in preview()["if"]


def test_a_public_repository_never_uses_a_runner_at_home_for_pull_requests():
    runner = preview()["runs-on"]

    assert evaluated(runner) == '["self-hosted"]'
    assert evaluated(runner, repository__private=False) == evaluated(runner, RUNNER="") == '"ubuntu-latest"'
    others = [job for name, job in jobs() if not name.startswith("drift.yml") and job != preview()]
    # A runner of GitHub's; the labels of one at home come from the variable.
    assert [label for job in others for label in labels(job) if not re.fullmatch(r"ubuntu-[\w.-]+", label)] == []


def labels(job: dict[str, Any]) -> list[str]:
    """The runners of a job, with those of its matrix."""
    return job["strategy"]["matrix"]["runner"] if job["runs-on"] == "${{ matrix.runner }}" else [job["runs-on"]]


def test_nothing_is_merged_without_a_person():
    assert "automerge" not in (ROOT / "renovate.json").read_text()


def test_every_step_runs_a_make_target_or_the_test_command():
    commands = [step["run"] for _, job in jobs() for step in job["steps"] if "run" in step]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert len(commands) > 6
    for command in commands:
        assert command == ".ci/run" or re.fullmatch(r"make ([a-z-]+)( [A-Z_]+=\"[^\"]*\")*", command), command
        assert command == ".ci/run" or command.split()[1] in targets, command


def test_the_setup_action_installs_the_pinned_pulumi_version():
    (pinned,) = re.findall(r'"pulumi==([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    setup = yaml.safe_load((GITHUB / "actions" / "setup" / "action.yml").read_text())
    (version,) = [step["with"]["pulumi-version"] for step in setup["runs"]["steps"] if "pulumi" in step["uses"]]

    assert version == pinned

"""The checks before a commit pass, and find what they should."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from paths import ROOT
from tests.tools import SOURCES, require

HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]


def tracked() -> list[str]:
    """The files that git tracks."""
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip("needs a clone of the repository: use git clone instead of copying the files")
    return [name for name in answer.stdout.split("\0") if name]


def test_each_test_file_has_a_name_of_its_own():
    """Pytest imports a test file by its name alone, and stops at the second one in a run of several layers."""
    names = Counter(file.name for file in (ROOT / "tests").rglob("test_*.py"))

    assert [name for name, count in names.items() if count > 1] == []


def leaks(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [require("gitleaks"), "dir", "--no-banner", "--no-color", "--redact", "--verbose", "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_no_tracked_file_contains_a_secret(tmp_path: Path):
    for name in tracked():
        if (ROOT / name).is_file():
            copy = tmp_path / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())

    answer = leaks(tmp_path)

    assert answer.returncode == 0, answer.stdout


def test_gitleaks_finds_a_key_in_a_stack_file(tmp_path: Path):
    key = "ghp_" + "x7Kq9mZ2vB4nC6sD8fG1hJ3kL5pQ0wR2tY4u"  # in two parts, so that gitleaks does not find it here
    (tmp_path / "Pulumi.dev.yaml").write_text(f"config:\n  flyte-home:githubToken: {key}\n")

    answer = leaks(tmp_path)

    assert answer.returncode == 1
    assert "github-pat" in answer.stdout
    assert key not in answer.stdout


def test_shellcheck_finds_nothing_in_the_scripts():
    shebang = re.compile(r"#!/bin/(ba)?sh\n")
    scripts = [
        file for folder in ("scripts", ".ci") for file in (ROOT / folder).rglob("*")
        if file.is_file() and shebang.match(file.read_text())
    ]  # fmt: skip

    answer = subprocess.run([require("shellcheck"), *scripts], cwd=ROOT, capture_output=True, text=True, check=False)

    assert len(scripts) > 5
    assert answer.stdout == ""


def test_shellcheck_finds_an_unquoted_variable(tmp_path: Path):
    script = tmp_path / "a.sh"
    script.write_text("#!/bin/sh\nrm -r $1\n")

    answer = subprocess.run([require("shellcheck"), script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert "SC2086" in answer.stdout


def test_yamllint_finds_a_duplicate_key(tmp_path: Path):
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\na: 2\n")
    command = [require("yamllint"), "--strict", "--config-file", ROOT / ".yamllint.yaml", file]

    assert "key-duplicates" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_make_check_runs_every_local_pre_commit_hook():
    (local,) = [entry["hooks"] for entry in HOOKS if entry["repo"] == "local"]
    makefile = (ROOT / "Makefile").read_text()
    check = makefile[makefile.index("\ncheck:") : makefile.index("\nlock:")]

    for hook in local:
        program = Path(hook["entry"].split()[0]).name
        assert program == "make" or f"$(VENV)/bin/{program} " in check, hook["id"]


def test_gitleaks_has_the_same_version_in_the_hook_and_in_the_tests():
    (line,) = re.findall(r"rev: [0-9a-f]{40} # frozen: (v[\d.]+)", (ROOT / ".pre-commit-config.yaml").read_text())

    assert f"github.com/zricethezav/gitleaks/v8 {line} " in (SOURCES / "gitleaks" / "go.mod").read_text()

"""Pulumi reads stack files as the commands of this repository do; needs only Pulumi's command line."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from paths import ROOT
from tests.commands.test_stack_file import REJECTED, SCALARS, STRUCTURES, document
from tests.engine.conftest import PASSPHRASE
from tests.tools import require


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this project's declarations and an empty stack named ``test``."""
    made = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "Pulumi.yaml", made)
    pulumi(made, "stack", "init", "--stack", "test")
    return made


def pulumi(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PULUMI_BACKEND_URL": f"file://{folder}", "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}
    environment = os.environ | environment | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    command = [require("pulumi"), *arguments, "--non-interactive"]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def values(folder: Path, stack_file: str) -> dict[str, Any]:
    """What Pulumi reads in a stack file."""
    (folder / "Pulumi.test.yaml").write_text(stack_file)
    answer = pulumi(folder, "config", "--json", "--stack", "test")
    assert answer.returncode == 0, answer.stderr
    return {key: entry["value"] for key, entry in json.loads(answer.stdout).items()}


def test_pulumi_reads_the_same_scalars(folder: Path):
    found = values(folder, document(SCALARS))

    assert {text: found[f"flyte-home:v{index}"] for index, text in enumerate(SCALARS)} == SCALARS


def test_pulumi_reads_the_same_structures(folder: Path):
    found = values(folder, document(STRUCTURES))

    assert {text: json.loads(found[f"flyte-home:v{index}"]) for index, text in enumerate(STRUCTURES)} == STRUCTURES


@pytest.mark.parametrize("text", REJECTED)
def test_pulumi_rejects_the_same_files(folder: Path, text: str):
    (folder / "Pulumi.test.yaml").write_text(text)

    assert pulumi(folder, "config", "--json", "--stack", "test").returncode != 0

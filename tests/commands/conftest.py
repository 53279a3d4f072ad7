"""What tests of the commands around the program share."""

import os
from pathlib import Path

import pytest

from ops.lib import levels
from tests.kubectl import KubectlProgram


@pytest.fixture(autouse=True)
def _own_measurements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the measurements of tests apart from those of the stacks of this folder."""
    monkeypatch.setattr(levels, "FOLDER", tmp_path / "levels")


@pytest.fixture
def kubectl_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubectlProgram:
    """A kubectl of our own on the PATH, and a kubeconfig with the context ``home``."""
    program = KubectlProgram.install(tmp_path / "kubectl")
    monkeypatch.setenv("PATH", f"{program.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", str(program.folder / "kubeconfig"))
    return program

"""What all components share to build pods."""

from pathlib import Path

import pulumi
import pytest

from components.pods import scripts
from components.pods.scripts import script_config_map


def test_a_missing_folder_of_scripts_is_an_error():
    with pytest.raises(FileNotFoundError, match=r"scripts/postgress has no \*\.sh; x would be a ConfigMap without"):
        script_config_map("x", "flyte", "postgress", pulumi.ResourceOptions())


def test_a_folder_without_scripts_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "scripts" / "empty").mkdir(parents=True)
    (tmp_path / "scripts" / "empty" / "notes.txt").touch()
    monkeypatch.setattr(scripts, "ROOT", tmp_path)

    with pytest.raises(FileNotFoundError, match=r"scripts/empty has no \*\.sh"):
        script_config_map("x", "flyte", "empty", pulumi.ResourceOptions())

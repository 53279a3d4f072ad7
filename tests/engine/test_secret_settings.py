"""The documented commands store secrets as their reader expects them; needs only Pulumi's command line."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from paths import ROOT
from settings import settings_from
from tests.conftest import UID
from tests.engine.conftest import PASSPHRASE, STACK
from tests.tools import require

CREDENTIALS = '{"token": "planted",\n "lines": 2}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with this project's declarations and an empty stack."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    pulumi(tmp_path, "stack init --stack " + STACK)
    return tmp_path


def pulumi(folder: Path, arguments: str) -> str:
    """The output of a command that a shell runs in ``folder``, as a user would type it."""
    environment = {"PULUMI_BACKEND_URL": f"file://{folder}", "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}
    command = ["/bin/sh", "-c", f"{require('pulumi')} {arguments}"]
    environment = os.environ | environment | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("end", ["", "\n"], ids=["without a newline at the end", "with a newline at the end"])
def test_a_secret_from_a_file_is_stored_encrypted_and_without_the_newline_at_the_end(folder: Path, end: str):
    (folder / "creds.json").write_text(CREDENTIALS + end)

    pulumi(folder, f"config set --secret flyte-home:tidalCreds --stack {STACK} < creds.json")

    config = json.loads(pulumi(folder, f"config --show-secrets --json --stack {STACK}"))
    assert config["flyte-home:tidalCreds"] == {"value": CREDENTIALS, "secret": True}
    assert "planted" not in (folder / f"Pulumi.{STACK}.yaml").read_text()


def test_credentials_from_a_file_are_valid_settings(folder: Path):
    (folder / "creds.json").write_text(CREDENTIALS + "\n")

    pulumi(folder, f"config set --secret flyte-home:tidalCreds --stack {STACK} < creds.json")

    stored = json.loads(pulumi(folder, f"config --show-secrets --json --stack {STACK}"))
    given = {"kubernetes:context": "home", "flyte-home:clusterUid": UID}
    given["flyte-home:tidalCreds"] = stored["flyte-home:tidalCreds"]["value"]
    given["flyte-home:projects"] = '[{"name": "remedy", "taskSecrets": ["tidal-creds"]}]'
    settings = settings_from(given, ["flyte-home:tidalCreds"])
    assert settings.task_secret_values["tidal-creds"]["remedy-production"] == {"json": CREDENTIALS}

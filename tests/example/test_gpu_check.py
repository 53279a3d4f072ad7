"""The example for a GPU and a secret from Vault: what it asks for, and the stack that its settings make."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.lib.recording import Recording
from paths import ROOT
from settings import PROJECT
from tests.conftest import run as recorded
from tests.example.test_workflow import EXAMPLE, program, run
from tests.unit.test_secrets_webhook import configuration

FOLDER = ROOT / "examples" / "gpu_check"
# Runs in the environment of the example, because only that one has flytekit.
ASKED = """
import json
from flytekit.configuration import ImageConfig, SerializationSettings
from google.protobuf.json_format import MessageToDict
from flytekit.tools.translator import get_serializable
from workflow import look
settings = SerializationSettings(ImageConfig.auto(img_name="image:tag"))
print(json.dumps(MessageToDict(get_serializable({}, settings, look).to_flyte_idl())["template"]))
"""


def settings() -> dict[str, Any]:
    """The settings of the example, without the prefix of their names."""
    config = yaml.safe_load((FOLDER / "settings.yaml").read_text())["config"]
    return {name.removeprefix(f"{PROJECT}:"): value for name, value in config.items()}


@pytest.fixture(scope="module")
def stack() -> Recording:
    return recorded(tidalCreds=None, **settings())


def test_without_a_gpu_it_runs_in_plain_python_with_a_sample(tmp_path: Path):
    done = run(tmp_path, program("python"), "workflow.py", cwd=FOLDER)

    assert done.stdout == "no GPU here; the token for the model hub is there\n", done.stderr


def test_it_needs_the_same_flytekit_as_the_first_example():
    pins = {re.search(r'"flytekit==[\d.]+"', (folder / "workflow.py").read_text())[0] for folder in (FOLDER, EXAMPLE)}

    assert len(pins) == 1


def test_without_the_secret_it_fails(tmp_path: Path):
    done = run(tmp_path, program("pyflyte"), "run", "workflow.py", "gpu_check", cwd=FOLDER, secrets=tmp_path)

    assert done.returncode != 0
    assert "secret/data/model-hub" in done.stdout + done.stderr


@pytest.mark.parametrize("content", ["", "<no value>"])
def test_an_empty_secret_and_what_vaults_agent_writes_for_a_missing_key_are_rejected(content: str, tmp_path: Path):
    (tmp_path / "secret" / "data" / "model-hub").mkdir(parents=True)
    (tmp_path / "secret" / "data" / "model-hub" / "token").write_text(content)

    done = run(tmp_path, program("python"), "workflow.py", cwd=FOLDER, secrets=tmp_path)

    assert done.returncode != 0
    assert "is empty, or there is no such key in Vault" in done.stderr


def test_it_asks_for_one_gpu_and_for_the_secret_as_a_file(tmp_path: Path):
    asked = json.loads(run(tmp_path, program("python"), "-c", ASKED, cwd=FOLDER).stdout)

    assert asked["container"]["resources"] == {"requests": [{"name": "GPU", "value": "1"}]}
    assert asked["securityContext"]["secrets"] == [
        {"group": "secret/data/model-hub", "key": "token", "mountRequirement": "FILE"}
    ]


def test_its_project_may_use_one_gpu_and_its_pods_may_have_the_token_of_vaults_agent(stack: Recording):
    quota = stack.one("ResourceQuota", "vision-development").manifest["spec"]["hard"]
    account = stack.one("ServiceAccount", "vision-development").manifest

    assert quota["requests.nvidia.com/gpu"] == "1"
    assert account["automountServiceAccountToken"] is True


def test_its_tasks_reach_vault(stack: Recording):
    policies = [
        policy.manifest["spec"] for policy in stack.of("NetworkPolicy")
        if policy.manifest["metadata"]["namespace"] == "vision-development"
    ]  # fmt: skip
    named = json.dumps([policy.get("egress", []) for policy in policies])

    assert '"kubernetes.io/metadata.name": "vault"' in named


def test_flytes_webhook_asks_vault_with_the_role_of_the_settings(stack: Recording):
    webhook = configuration(stack)["webhook"]

    assert webhook["secretManagerType"] == "Vault"
    assert webhook["vaultSecretManager"] == {"role": "flyte", "kvVersion": "2", "annotations": {}}

"""``make rotate``: which generations it raises, and how the stack file stores them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ops.rotate import next_generations
from ops.tools import TOOLS
from settings.errors import SettingsError
from tests.kubectl import AUTH, program_copy, settings
from tests.tools import require

GENERATED = ["postgres", "postgresSuperuser", "minioRoot", "minioFlyte", "minioTasks", "webhook"]


def test_by_default_every_secret_that_the_stack_generates_is_rotated():
    chosen = settings(generations={"minioTasks": 4})

    assert next_generations(chosen, []) == {name: 5 if name == "minioTasks" else 2 for name in GENERATED}


def test_a_password_of_the_users_own_has_no_generation():
    chosen = settings(postgresPassword="planted-password")

    assert set(next_generations(chosen, [])) == set(GENERATED) - {"postgres"}
    with pytest.raises(SettingsError, match="GENERATION: postgres has nothing to rotate: its password is the setting"):
        next_generations(chosen, ["postgres"])


def test_a_login_has_keys_to_rotate():
    chosen = settings(auth=AUTH, oidcClientSecret="planted-client-secret")

    assert set(next_generations(chosen, [])) == {*GENERATED, "auth"}


def test_only_the_named_secrets_are_rotated():
    assert next_generations(settings(), ["webhook", "minioRoot"]) == {"webhook": 2, "minioRoot": 2}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tidalCreds", "GENERATION: there is no generation 'tidalCreds'; choose from postgres, postgresSuperuser"),
        ("auth", r"GENERATION: auth has nothing to rotate: the stack has no login \(auth\)"),
    ],
)
def test_a_name_without_a_generated_secret_is_rejected(name: str, said: str):
    with pytest.raises(SettingsError, match=said):
        next_generations(settings(), [name])


def rotated(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    state = folder.parent / "state"
    state.mkdir(exist_ok=True)
    for name in ("kubernetes", "random"):  # placeholders: no plugin is started
        plugin = TOOLS[f"pulumi-resource-{name}"]
        place = folder.parent / "pulumi" / "plugins" / f"resource-{name}-v{plugin.version}"
        place.mkdir(parents=True)
        (place / plugin.name).touch()
    environment = os.environ | {
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "only-for-tests",
        "PULUMI_HOME": str(folder.parent / "pulumi"),
        "FLYTE_HOME_MIRROR": "file:///nowhere",
    }
    subprocess.run(
        [require("pulumi"), "stack", "select", "dev", "--create", "--non-interactive"],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=True,
    )
    return subprocess.run(
        [sys.executable, "-m", "ops.rotate", "dev", *names],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_stack_file_has_the_new_numbers_and_everything_else_stays(tmp_path: Path):
    folder = program_copy(tmp_path / "program", generations={"webhook": 7})
    before = yaml.safe_load((folder / "Pulumi.dev.yaml").read_text())["config"]
    # As Pulumi itself would write it.
    before["flyte-home:generations"] = {"webhook": 7}
    (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": before}))

    done = rotated(folder, "webhook", "minioTasks")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == [
        "flyte-home:generations.webhook is now 8",
        "flyte-home:generations.minioTasks is now 2",
    ]
    after = yaml.safe_load((folder / "Pulumi.dev.yaml").read_text())["config"]
    assert after.pop("flyte-home:generations") == {"webhook": 8, "minioTasks": 2}
    del before["flyte-home:generations"]
    assert json.dumps(after, sort_keys=True) == json.dumps(before, sort_keys=True)


def test_nothing_is_written_for_a_wrong_name(tmp_path: Path):
    folder = program_copy(tmp_path / "program")

    done = rotated(folder, "webhook", "everything")

    assert done.returncode == 1
    assert "GENERATION: there is no generation 'everything'" in done.stderr
    assert "generations" not in (folder / "Pulumi.dev.yaml").read_text()

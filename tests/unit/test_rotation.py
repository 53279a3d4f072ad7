"""What another generation of a generated secret changes, and what stays."""

import pytest

from ops.lib.recording import Recording
from tests.conftest import run

# By generation: the passwords that are generated anew under their own names.
REPLACED = {
    "postgres": {"postgres-password"},
    "postgresSuperuser": {"postgres-superuser-password"},
    "minioRoot": {"minio-root-password"},
    "webhook": {"webhook-key"},
}
# By generation: the passwords that are generated beside the old ones, which work until nobody uses them any more.
BESIDE = {
    "minioFlyte": {"minio-secret-key"},
    "minioTasks": {f"minio-key-remedy-{domain}" for domain in ("development", "staging", "production")},
}


def passwords(recording: Recording) -> dict[str, str]:
    """Name to generation, as the engine sees it; empty for the first."""
    return {
        found.name: str((found.inputs.get("keepers") or {}).get("generation", ""))
        for found in recording.of("RandomPassword")
    }


def test_the_first_generation_is_that_of_earlier_versions(dev: Recording):
    assert set(passwords(dev).values()) == {""}


@pytest.mark.parametrize("generation", REPLACED)
def test_another_generation_is_another_password_and_no_other_secret_changes(dev: Recording, generation: str):
    found = passwords(run(generations={generation: 2}))

    assert {name for name, number in found.items() if number == "2"} == REPLACED[generation]
    assert found.keys() == passwords(dev).keys()


@pytest.mark.parametrize("generation", BESIDE)
def test_another_generation_of_a_key_is_another_user(dev: Recording, generation: str):
    found = set(passwords(run(generations={generation: 2})))

    assert found - set(passwords(dev)) == {f"{name}.2" for name in BESIDE[generation]}
    assert set(passwords(dev)) - found == BESIDE[generation]


def test_flytes_new_key_has_the_rights_of_the_old_one(dev: Recording):
    found = run(generations={"minioFlyte": 2})
    policies = found.one("ConfigMap", "minio-provision").plain["data"]

    assert policies["flyte.2.json"] == dev.one("ConfigMap", "minio-provision").plain["data"]["flyte.json"]
    assert "access_key_id: flyte.2" in found.one("Secret", "flyte-config").plain["stringData"]["203-storage.yaml"]

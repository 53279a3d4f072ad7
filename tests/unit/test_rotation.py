"""What a new generation of a generated secret changes, and what it leaves unchanged."""

import pytest

from ops.lib.recording import Recording
from tests.conftest import run, store_policies

# The passwords that each generation replaces; they keep their names.
REPLACED = {
    "postgres": {"postgres-password"},
    "postgresSuperuser": {"postgres-superuser-password"},
    "minioRoot": {"minio-root-password"},
    "webhook": {"webhook-key"},
}
# The passwords that each generation adds. The old ones keep working until they are no longer used.
BESIDE = {
    "minioFlyte": {"minio-secret-key"},
    "minioTasks": {f"minio-key-remedy-{domain}" for domain in ("development", "staging", "production")},
}


def passwords(recording: Recording) -> dict[str, str]:
    """Generation of each password as the engine sees it; empty for the first one."""
    return {
        found.name: str((found.inputs.get("keepers") or {}).get("generation", ""))
        for found in recording.of("RandomPassword")
    }


def test_the_first_generation_keeps_the_passwords_of_earlier_versions(dev: Recording):
    assert set(passwords(dev).values()) == {""}


@pytest.mark.parametrize("generation", REPLACED)
def test_a_new_generation_replaces_its_password_and_no_other_secret(dev: Recording, generation: str):
    found = passwords(run(generations={generation: 2}))

    assert {name for name, number in found.items() if number == "2"} == REPLACED[generation]
    assert found.keys() == passwords(dev).keys()


@pytest.mark.parametrize("generation", BESIDE)
def test_a_new_generation_of_a_key_creates_a_new_user(dev: Recording, generation: str):
    found = set(passwords(run(generations={generation: 2})))

    assert found - set(passwords(dev)) == {f"{name}.2" for name in BESIDE[generation]}
    assert set(passwords(dev)) - found == BESIDE[generation]


def test_the_new_key_of_flyte_has_the_same_rights_as_the_old_one(dev: Recording):
    found = run(generations={"minioFlyte": 2})

    assert store_policies(found)["flyte.2"] == store_policies(dev)["flyte"]
    assert (
        "aws_access_key_id = flyte.2\n" in found.one("Secret", "flyte-config").plain["stringData"]["object-store-key"]
    )

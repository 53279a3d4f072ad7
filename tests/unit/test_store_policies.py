"""What the policies allow the users of the object store to do. tests/scripts checks the same on a real server."""

import fnmatch
from typing import Any

from ops.lib.recording import Recording
from tests.conftest import run, store_policies

TASKS = "flyte-tasks-remedy-development"


def policy(recording: Recording, user: str) -> list[dict[str, Any]]:
    """The statements of all policies of a user."""
    return [statement for policy in store_policies(recording)[user] for statement in policy["Statement"]]


def allows(statements: list[dict[str, Any]], action: str, path: str) -> bool:
    """Whether a statement unconditionally allows ``action`` on a bucket or object."""
    return any(
        statement["Effect"] == "Allow"
        and "Condition" not in statement
        and action in statement["Action"]
        and any(fnmatch.fnmatchcase(f"arn:aws:s3:::{path}", resource) for resource in statement["Resource"])
        for statement in statements
    )


def test_flyte_and_every_task_scope_have_a_user_with_a_policy_and_a_key(dev: Recording):
    policies = set(store_policies(dev))

    assert policies == {
        "flyte",
        *(f"flyte-tasks-remedy-{domain}" for domain in ("development", "staging", "production")),
    }
    assert set(dev.one("Secret", "minio-keys").plain["stringData"]) == policies
    assert (
        len({found.name for found in dev.of("RandomPassword") if "-key" in found.name}) == 5
    )  # including the key of the webhook


def test_tasks_can_change_their_own_data_and_metadata_and_read_their_own_code(dev: Recording):
    own = policy(dev, TASKS)

    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert allows(own, action, "remedy-development/data/x")
        assert allows(own, action, "flyte/metadata/propeller/remedy-development-a1/n0/data/0/outputs.pb")
    assert allows(own, "s3:GetObject", "flyte/remedy/development/HASH/script.tar.gz")
    assert not allows(own, "s3:PutObject", "flyte/remedy/development/HASH/script.tar.gz")


def test_tasks_cannot_access_the_objects_of_others(dev: Recording):
    own = policy(dev, TASKS)

    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        for path in (
            "remedy-production/data/x",
            "flyte/metadata/propeller/remedy-production-a1/x",
            "flyte/metadata/admin/remedy/development/a1/inputs.pb",
            "flyte/remedy/production/HASH/script.tar.gz",
        ):
            assert not allows(own, action, path), (action, path)
    for bucket in ("flyte", "remedy-production"):
        assert not allows(own, "s3:ListBucket", bucket)


def test_tasks_can_list_only_their_own_objects_in_the_bucket_of_flyte(dev: Recording):
    (listing,) = [statement for statement in policy(dev, TASKS) if "Condition" in statement]

    assert listing["Condition"] == {
        "StringLike": {"s3:prefix": ["metadata/propeller/remedy-development-*", "remedy/development/*"]}
    }


def test_flyte_can_access_only_the_buckets_of_the_stack():
    found = run(minio={"bucket": "other", "dataBucket": "data-{project}-{domain}"}, domains=["d-dev"])
    own = policy(found, "flyte")

    resources = {resource for statement in own if statement["Effect"] == "Allow" for resource in statement["Resource"]}
    assert resources == {
        f"arn:aws:s3:::{bucket}{rest}" for bucket in ("other", "data-remedy-d-dev") for rest in ("", "/*")
    }


def test_no_user_can_administer_the_store(dev: Recording):
    for user in ("flyte", TASKS):
        for statement in policy(dev, user):
            actions = statement["Action"]
            assert statement["Effect"] == "Deny" or not [
                action for action in actions if "*" in action or action.startswith("admin:") or "Policy" in action
            ]
            assert statement["Effect"] == "Allow" or actions == ["admin:*"]

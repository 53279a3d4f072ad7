"""A stack with 300 projects in 3 domains stays within the limits of its servers, and the work grows with its size."""

import base64
import json
from typing import Any

import pytest

from components.object_store.archives import flyte_archives, task_archives
from ops.lib.recorder import record
from ops.lib.recording import Recording
from settings import settings_from
from settings.projects import TaskScope
from tests.conftest import containers, run, stack, store_policies

KIB = 1024
# Long names, because names are most of every size.
PROJECTS = [{"name": f"a-project-with-a-name-of-forty-letters-{number:03}"} for number in range(300)]


@pytest.fixture(scope="module")
def large() -> Recording:
    return record(*stack(projects=PROJECTS, tidalCreds=None, minio={"bucketQuota": "10Gi"}))


def task_scopes(projects: list[dict[str, Any]]) -> dict[str, TaskScope]:
    scopes = settings_from(*stack(projects=projects, tidalCreds=None)).task_scopes
    return {scope.namespace: scope for scope in scopes}


def test_the_store_accepts_every_policy(large: Recording):
    policies = store_policies(large)

    assert len(policies) == 901
    assert len(policies["flyte"]) == 10
    sizes = [len(json.dumps(policy)) for found in policies.values() for policy in found]
    assert max(sizes) < 20 * KIB


def test_every_object_is_far_below_the_limits_of_the_api_server_and_of_linux(large: Recording):
    for found in large.resources:
        if found.kind in {"ConfigMap", "Secret"}:
            size = sum(len(text) for part in ("data", "stringData") for text in (found.plain.get(part) or {}).values())
            size += sum(len(base64.b64decode(text)) for text in (found.plain.get("binaryData") or {}).values())
            assert size < 500 * KIB, found.name  # the limit is 1 MiB
        elif found.is_manifest:
            assert len(json.dumps(found.plain)) < 500 * KIB, found.name  # the limit is 1.5 MiB
        if found.kind in {"Job", "StatefulSet", "Deployment"}:
            for container in containers(found.plain):
                for entry in container.get("env", []):
                    assert len(entry.get("value", "")) < 10 * KIB, (found.name, entry["name"])  # the limit is 128 KiB


def test_the_policies_of_flyte_allow_together_what_one_policy_would(large: Recording):
    allowed: dict[str, set[str]] = {}
    for policy in store_policies(large)["flyte"]:
        *statements, last = policy["Statement"]
        assert last == {"Effect": "Deny", "Action": ["admin:*"]}
        for statement in statements:
            assert set(statement) == {"Effect", "Action", "Resource"}
            assert statement["Effect"] == "Allow"
            for resource in statement["Resource"]:
                allowed.setdefault(resource, set()).update(statement["Action"])

    buckets = ["flyte", *(f"{project['name']}-{domain}" for project in PROJECTS for domain in DOMAINS)]
    small = {
        resource: set(statement["Action"])
        for policy in store_policies(run())["flyte"]
        for statement in policy["Statement"][:-1]
        for resource in statement["Resource"]
    }
    arn = "arn:aws:s3:::"
    assert allowed == {f"{arn}{bucket}{rest}": small[f"{arn}flyte{rest}"] for bucket in buckets for rest in ("", "/*")}


DOMAINS = ("development", "staging", "production")


def test_another_project_changes_only_the_archives_that_contain_it():
    def archives(count: int) -> set[tuple[str, bytes]]:
        scopes = task_scopes(PROJECTS[:count])
        found = [flyte_archives("flyte", "flyte", list(scopes.values())), *task_archives("flyte", scopes)]
        return {file for part in found for file in part.items()}

    assert {name for name, _ in archives(101) - archives(100)} == {
        "access-flyte.zip",
        "access-tasks-4.zip",
        "buckets-tasks-4.zip",
    }


def test_archives_are_the_same_bytes_every_time():
    scopes = task_scopes(PROJECTS[:2])

    assert task_archives("flyte", scopes) == task_archives("flyte", dict(scopes))


def test_the_number_of_dependencies_grows_with_the_number_of_projects_and_not_with_its_square():
    counts = [
        sum(
            len(found.dependencies)
            for found in run(projects=[{**one, "taskSecrets": ["tidal-creds"]} for one in PROJECTS[:size]]).resources
        )
        for size in (4, 8, 12)
    ]

    assert counts[2] - counts[1] == counts[1] - counts[0]

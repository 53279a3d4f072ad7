"""What Flyte is allowed to do in the cluster."""

from typing import Any

from ops.lib.recording import Recording
from tests.conftest import run

READ = {"get", "list", "watch"}


def rules(recording: Recording, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """The rules, each with its namespace; the namespace is empty for rules of the whole cluster."""
    return [
        (found.manifest["metadata"].get("namespace", ""), rule)
        for found in recording.of(kind)
        for rule in found.manifest["rules"]
    ]


def test_cluster_wide_flyte_can_only_read_pods_and_workflows(dev: Recording):
    found = [rule for _, rule in rules(dev, "ClusterRole")]

    assert found
    assert all(set(rule["verbs"]) <= READ for rule in found)
    assert {resource for rule in found for resource in rule["resources"]} == {"pods", "podtemplates", "flyteworkflows"}


def test_flyte_has_no_right_on_any_secret(dev: Recording):
    every = [rule for kind in ("Role", "ClusterRole") for _, rule in rules(dev, kind)]

    assert not [rule for rule in every if "secrets" in rule["resources"]]


def test_no_rule_contains_a_wildcard(dev: Recording):
    for kind in ("Role", "ClusterRole"):
        for _, rule in rules(dev, kind):
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_flyte_can_write_in_every_task_namespace_and_nowhere_else():
    found = run(projects=[{"name": "a"}, {"name": "b"}], domains=["d-dev"], tidalCreds=None)

    for resource in ("pods", "flyteworkflows", "events"):
        writing = {
            where
            for where, rule in rules(found, "Role")
            if resource in rule["resources"] and {"create", "delete", "patch", "update"} <= set(rule["verbs"])
        }
        assert writing == {"a-d-dev", "b-d-dev"}
    for binding in (*found.of("RoleBinding"), *found.of("ClusterRoleBinding")):
        (subject,) = binding.manifest["subjects"]
        assert subject == {"kind": "ServiceAccount", "name": "flyte-binary", "namespace": "flyte"}


def test_the_chart_creates_its_own_role_only_when_the_settings_ask_for_it(dev: Recording):
    chart = run(flyte={"rights": "chart"})

    assert dev.one("Release").plain["values"]["rbac"] == {"create": False}
    assert chart.one("Release").plain["values"]["rbac"] == {"create": True}
    assert not [found for kind in ("Role", "ClusterRole", "RoleBinding") for found in chart.of(kind)]


def test_flyte_has_its_rights_from_before_it_starts_until_it_is_deleted(dev: Recording):
    made = {found.urn for kind in ("Role", "RoleBinding", "ClusterRoleBinding") for found in dev.of(kind)}

    assert made <= set(dev.one("Release").dependencies)

"""The task namespaces and their initial contents."""

import pytest

from ops.lib.recording import Recording
from tests.conftest import run


def test_every_project_has_a_labelled_namespace_in_every_domain():
    recording = run(projects=[{"name": "a"}, {"name": "b"}], domains=["d-dev", "p-dev"], tidalCreds=None)
    found = {item.name: item.manifest["metadata"] for item in recording.of("Namespace") if item.name != "flyte"}

    assert set(found) == {"a-d-dev", "a-p-dev", "b-d-dev", "b-p-dev"}
    assert all(metadata["name"] == name for name, metadata in found.items())
    labels = found["b-p-dev"]["labels"]
    assert (labels["flyte.org/project"], labels["flyte.org/domain"]) == ("b", "p-dev")
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert labels["pod-security.kubernetes.io/warn"] == "restricted"


def test_the_platform_namespace_enforces_the_restricted_level(dev: Recording):
    labels = dev.one("Namespace", "flyte").manifest["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_task_namespace_has_its_quota():
    quota = {"pods": 7, "requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "3", "memory": "4Gi"}}
    recording = run(tasks={"quota": quota, "maximum": {"cpu": "3", "memory": "4Gi"}})

    assert recording.one("ResourceQuota", "remedy-staging").manifest["spec"]["hard"] == {
        "pods": "7",
        "requests.cpu": "1",
        "requests.memory": "2Gi",
        "limits.cpu": "3",
        "limits.memory": "4Gi",
        "limits.ephemeral-storage": "200Gi",
        "persistentvolumeclaims": "10",
        "requests.storage": "100Gi",
    }


def test_containers_without_resources_get_the_default_requests_and_limits():
    recording = run(tasks={"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}})
    (limit,) = recording.one("LimitRange", "remedy-staging").manifest["spec"]["limits"]
    (container,) = recording.one("PodTemplate", "remedy-staging").manifest["template"]["spec"]["containers"]

    assert limit["type"] == "Container"
    assert container["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "128Mi"}
    # The limit range gives ephemeral storage to every container, because the quota rejects those without a limit.
    assert limit["defaultRequest"] == {**container["resources"]["requests"], "ephemeral-storage": "100Mi"}
    assert limit["default"] == {**container["resources"]["limits"], "ephemeral-storage": "4Gi"}


def test_flyte_is_configured_to_use_the_pod_template_and_its_container(dev: Recording):
    template = dev.one("PodTemplate", "remedy-production").manifest
    told = dev.one("Release").plain["values"]["configuration"]["inline"]["plugins"]["k8s"]["default-pod-template-name"]

    assert template["metadata"]["name"] == told
    assert template["metadata"]["namespace"] == "remedy-production"
    (container,) = template["template"]["spec"]["containers"]
    assert container["name"] == "default"
    assert container["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_task_pods_and_their_init_containers_are_hardened_as_the_restricted_level_requires(dev: Recording, kind: str):
    pod = dev.one("PodTemplate", "remedy-production").manifest["template"]["spec"]
    (container,) = pod[kind]

    assert container["name"] == {"containers": "default", "initContainers": "default-init"}[kind]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert set(container["resources"]) == {"requests", "limits"}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_the_co_pilot_finds_the_key_of_the_tasks_under_the_names_of_aws_library(dev: Recording):
    (container,) = dev.one("PodTemplate", "remedy-production").manifest["template"]["spec"]["initContainers"]
    found = {variable["name"]: variable["valueFrom"]["secretKeyRef"] for variable in container["env"]}
    kept = dev.one("Secret", "flyte-object-store-remedy-production").plain["data"]

    assert sorted(found) == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    for reference in found.values():
        assert (reference["name"], reference["optional"]) == ("flyte-object-store", True)
        assert reference["key"] in kept


def test_task_pods_have_their_own_service_account_without_a_token(dev: Recording):
    account = dev.one("ServiceAccount", "remedy-production").manifest
    pod = dev.one("PodTemplate", "remedy-production").manifest["template"]["spec"]

    assert account["metadata"]["name"] == pod["serviceAccountName"] == "flyte-task"
    assert account["metadata"]["namespace"] == "remedy-production"
    assert account["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is False


def test_a_project_gets_a_token_if_it_asks_for_one():
    found = run(projects=[{"name": "a", "serviceAccountToken": True}, {"name": "b"}], tidalCreds=None)

    for project, token in (("a", True), ("b", False)):
        assert found.one("ServiceAccount", f"{project}-staging").manifest["automountServiceAccountToken"] is token
        pod = found.one("PodTemplate", f"{project}-staging").manifest["template"]["spec"]
        assert pod["automountServiceAccountToken"] is token


@pytest.mark.parametrize(("user", "non_root"), [(0, False), (5678, True)])
def test_the_images_of_a_project_can_run_as_another_user(user: int, non_root: bool):
    found = run(projects=[{"name": "a", "runAsUser": user}], tidalCreds=None)
    context = found.one("PodTemplate", "a-staging").manifest["template"]["spec"]["securityContext"]

    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (user, user, user)
    assert context["runAsNonRoot"] is non_root
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_a_project_can_have_another_pod_security_level_and_its_namespaces_record_the_reason():
    found = run(
        projects=[
            {"name": "a", "podSecurity": {"enforce": "privileged", "reason": "writes to a tape drive"}},
            {"name": "b", "podSecurity": {"enforce": "restricted"}},
            {"name": "c"},
        ],
        tidalCreds=None,
    )

    levels = {}
    for project in "abc":
        metadata = found.one("Namespace", f"{project}-staging").manifest["metadata"]
        levels[project] = metadata["labels"]["pod-security.kubernetes.io/enforce"]
        assert metadata["labels"]["pod-security.kubernetes.io/warn"] == "restricted"
    assert levels == {"a": "privileged", "b": "restricted", "c": "baseline"}
    annotations = found.one("Namespace", "a-staging").manifest["metadata"]["annotations"]
    assert annotations["flyte-home/pod-security-reason"] == "writes to a tape drive"


def test_the_contents_of_a_namespace_are_deleted_with_it(dev: Recording):
    namespace = dev.one("Namespace", "remedy-staging").urn

    for kind in ("ResourceQuota", "LimitRange", "PodTemplate", "ServiceAccount"):
        assert dev.one(kind, "remedy-staging").deleted_with == namespace

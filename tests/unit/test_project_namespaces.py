"""Namespaces of projects and what is in them from the start."""

from ops.recorder import Recording
from tests.conftest import run


def test_every_project_has_a_namespace_in_every_domain_with_labels_that_say_so():
    recording = run(projects=[{"name": "a"}, {"name": "b"}], domains=["d-dev", "p-dev"], tidalCreds=None)
    found = {item.name: item.manifest["metadata"] for item in recording.of("Namespace") if item.name != "flyte"}

    assert set(found) == {"a-d-dev", "a-p-dev", "b-d-dev", "b-p-dev"}
    assert all(metadata["name"] == name for name, metadata in found.items())
    labels = found["b-p-dev"]["labels"]
    assert (labels["flyte.org/project"], labels["flyte.org/domain"]) == ("b", "p-dev")
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert labels["pod-security.kubernetes.io/warn"] == "restricted"


def test_the_platforms_own_namespace_enforces_restricted(dev: Recording):
    labels = dev.one("Namespace", "flyte").manifest["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_namespace_has_its_quota():
    quota = {"pods": 7, "requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "3", "memory": "4Gi"}}
    recording = run(tasks={"quota": quota})

    assert recording.one("ResourceQuota", "remedy-staging").manifest["spec"]["hard"] == {
        "pods": "7",
        "requests.cpu": "1",
        "requests.memory": "2Gi",
        "limits.cpu": "3",
        "limits.memory": "4Gi",
    }


def test_containers_that_say_nothing_get_the_stacks_requests_and_limits():
    recording = run(tasks={"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}})
    (limit,) = recording.one("LimitRange", "remedy-staging").manifest["spec"]["limits"]
    (container,) = recording.one("PodTemplate", "remedy-staging").manifest["template"]["spec"]["containers"]

    assert limit["type"] == "Container"
    assert limit["defaultRequest"] == container["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}
    assert limit["default"] == container["resources"]["limits"] == {"cpu": "1", "memory": "128Mi"}


def test_the_pod_template_is_the_one_flyte_is_told_to_use_and_has_flytes_container(dev: Recording):
    template = dev.one("PodTemplate", "remedy-production").manifest
    told = dev.one("Release").plain["values"]["configuration"]["inline"]["plugins"]["k8s"]["default-pod-template-name"]

    assert template["metadata"]["name"] == told
    assert template["metadata"]["namespace"] == "remedy-production"
    (container,) = template["template"]["spec"]["containers"]
    assert container["name"] == "default"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert template["template"]["spec"]["automountServiceAccountToken"] is False


def test_what_is_in_a_namespace_goes_with_it(dev: Recording):
    namespace = dev.one("Namespace", "remedy-staging").urn

    for kind in ("ResourceQuota", "LimitRange", "PodTemplate"):
        assert dev.one(kind, "remedy-staging").deleted_with == namespace

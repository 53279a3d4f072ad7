"""What a task pod may be. The layer `apiserver` tests that other pods are rejected."""

from ops.lib.recording import Recording
from tests.conftest import run


def test_the_policy_applies_to_every_task_namespace_and_to_no_other():
    found = run(projects=[{"name": "a"}, {"name": "b"}], domains=["d-dev"])
    binding = found.one("ValidatingAdmissionPolicyBinding").manifest["spec"]

    (expression,) = binding["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["a-d-dev", "b-d-dev"]
    assert binding["validationActions"] == ["Deny"]
    assert binding["policyName"] == found.one("ValidatingAdmissionPolicy").manifest["metadata"]["name"]


def test_the_namespaces_say_what_a_project_may_have(dev: Recording):
    found = run(
        projects=[
            {
                "name": "remedy",
                "taskSecrets": ["tidal-creds"],
                "existingSecrets": ["of-the-operator"],
                "volumeTypes": ["nfs"],
                "serviceAccountToken": True,
                "serviceAccounts": ["reader"],
            }
        ],
        tasks={"priorityClasses": ["home-default"]},
    )

    assert annotations(dev) == {"flyte-home/secrets": "flyte-object-store tidal-creds"}
    assert annotations(found) == {
        "flyte-home/secrets": "flyte-object-store tidal-creds of-the-operator",
        "flyte-home/volume-types": "nfs",
        "flyte-home/service-account-token": "true",
        "flyte-home/service-accounts": "reader",
        "flyte-home/priority-classes": "home-default",
    }


def annotations(recording: Recording) -> dict[str, str]:
    return recording.one("Namespace", "remedy-staging").manifest["metadata"]["annotations"]


def test_with_another_secret_manager_no_secret_of_kubernetes_is_for_tasks_but_its_sidecar_may_run():
    found = run(tidalCreds=None, secretManager={"type": "AWS"})

    assert annotations(found)["flyte-home/secrets"] == "flyte-object-store"
    assert annotations(found)["flyte-home/sidecars"].startswith("docker.io/amazon/aws-secrets-manager")


def test_the_policy_is_created_before_flyte(dev: Recording):
    assert dev.one("ValidatingAdmissionPolicyBinding").urn in dev.one("Release").dependencies

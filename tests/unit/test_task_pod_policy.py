"""What the secrets webhook must not inject into a task pod. The layer `apiserver` tests that it is rejected."""

from ops.lib.recording import Recording
from tests.conftest import run


def test_the_policy_applies_to_every_task_namespace_and_to_no_other():
    found = run(projects=[{"name": "a"}, {"name": "b"}], domains=["d-dev"])
    binding = found.one("ValidatingAdmissionPolicyBinding").manifest["spec"]

    (expression,) = binding["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["a-d-dev", "b-d-dev"]
    assert binding["validationActions"] == ["Deny"]
    assert binding["policyName"] == found.one("ValidatingAdmissionPolicy").manifest["metadata"]["name"]


def test_the_policy_applies_to_every_pod_the_webhook_changes_if_flyte_may_create_namespaces():
    binding = run(flyte={"rights": "chart"}).one("ValidatingAdmissionPolicyBinding").manifest["spec"]

    assert binding["matchResources"] == {"objectSelector": {"matchLabels": {"inject-flyte-secrets": "true"}}}


def test_the_policy_is_created_before_flyte(dev: Recording):
    assert dev.one("ValidatingAdmissionPolicyBinding").urn in dev.one("Release").dependencies

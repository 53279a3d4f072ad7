"""What the secrets webhook must not put into a task pod; that the API server refuses it is the layer `apiserver`."""

from ops.lib.recording import Recording
from tests.conftest import run


def test_it_looks_at_every_namespace_of_a_project_and_at_no_other():
    found = run(projects=[{"name": "a"}, {"name": "b"}], domains=["d-dev"])
    binding = found.one("ValidatingAdmissionPolicyBinding").manifest["spec"]

    (expression,) = binding["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["a-d-dev", "b-d-dev"]
    assert binding["validationActions"] == ["Deny"]
    assert binding["policyName"] == found.one("ValidatingAdmissionPolicy").manifest["metadata"]["name"]


def test_where_flyte_makes_namespaces_it_looks_at_every_pod_that_the_webhook_sees():
    binding = run(flyte={"rights": "chart"}).one("ValidatingAdmissionPolicyBinding").manifest["spec"]

    assert binding["matchResources"] == {"objectSelector": {"matchLabels": {"inject-flyte-secrets": "true"}}}


def test_it_is_there_before_flyte(dev: Recording):
    assert dev.one("ValidatingAdmissionPolicyBinding").urn in dev.one("Release").dependencies

"""A real API server takes every manifest: strict about fields, with Pod Security admission, and without a warning."""

import copy
from typing import Any

from tests.api_server import ApiServer
from tests.helm import template
from tests.matrix import CASES, KUBERNETES, distinct, manifests, recording

# Tasks may run as root where their image does: their namespaces enforce *baseline*.
_TASKS_MAY_BE_ROOT = (
    'Warning: would violate PodSecurity "restricted:latest": runAsNonRoot != true '
    '(pod or container "default" must set securityContext.runAsNonRoot=true)'
)


def prepared(api: ApiServer, *cases: str) -> list[dict[str, Any]]:
    """What the cases have the server take, once their namespaces are there."""
    found = distinct(manifest for case in cases for manifest in manifests(case).values())
    api.make_namespaces(manifest for manifest in found if manifest["kind"] == "Namespace")
    return found


def pods(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pods that controllers, or Flyte, would make of these manifests."""
    made = []
    for manifest in found:
        template = manifest.get("template") or manifest.get("spec", {}).get("template")
        if template:
            metadata = {"name": manifest["metadata"]["name"], "namespace": manifest["metadata"]["namespace"]}
            metadata |= {"labels": template.get("metadata", {}).get("labels", {})}
            made.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    return made


def test_the_server_takes_every_manifest(api: ApiServer):
    found = prepared(api, *CASES)

    assert len(found) > 60
    assert set(api.apply(found)) <= {_TASKS_MAY_BE_ROOT}


def test_the_server_takes_every_pod(api: ApiServer):
    made = distinct(pods(prepared(api, *CASES)))

    assert {pod["metadata"]["name"] for pod in made} >= {"postgres", "minio", "flyte-task"}
    assert set(api.create(made)) <= {_TASKS_MAY_BE_ROOT}


def test_the_server_takes_what_helm_makes_of_the_release_and_its_pod(api: ApiServer):
    prepared(api, *CASES)
    rendered = distinct(manifest for case in CASES for manifest in template(recording(case), KUBERNETES[-1]))
    accounts = [manifest for manifest in rendered if manifest["kind"] == "ServiceAccount"]

    assert api.apply(rendered) == []
    assert api.apply(accounts, dry_run=False) == []
    assert api.create(pods(rendered)) == []


def test_settings_can_be_changed_in_place(fresh_api: ApiServer):
    assert set(fresh_api.apply(prepared(fresh_api, "smallest"), dry_run=False)) <= {_TASKS_MAY_BE_ROOT}

    for case in ("given password, secret of one domain, mirror", "own values of the chart and addresses"):
        assert set(fresh_api.apply(prepared(fresh_api, case))) <= {_TASKS_MAY_BE_ROOT}


def test_an_unknown_field_would_be_refused(api: ApiServer):
    found = [copy.deepcopy(manifest) for manifest in prepared(api, "dev") if manifest["kind"] == "StatefulSet"]
    for manifest in found:
        manifest["spec"]["replica"] = 1

    problems = api.apply(found)

    assert len(problems) == len(found)
    assert all(".spec.replica: field not declared in schema" in problem for problem in problems)


def test_a_pod_with_more_rights_would_be_refused(api: ApiServer):
    found = copy.deepcopy(pods(prepared(api, "dev")))
    for pod in found:
        pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}

    problems = api.create(found)

    assert len(problems) == len(found)
    assert all("violates PodSecurity" in problem for problem in problems)


def test_a_workflow_of_flyte_is_stored_whole(api: ApiServer):
    found = prepared(api, "smallest")
    definitions = [manifest for manifest in found if manifest["kind"] == "CustomResourceDefinition"]
    assert api.apply(definitions, dry_run=False) == []
    name = definitions[0]["metadata"]["name"]
    assert api.run("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s").returncode == 0
    workflow = {
        "apiVersion": "flyte.lyft.com/v1alpha1",
        "kind": "FlyteWorkflow",
        "metadata": {"name": "f1", "namespace": "remedy-development"},
        "spec": {"id": "remedy:development:mend", "nodes": {"start-node": {"kind": "start"}}},
        "executionId": {"project": "remedy"},
    }

    assert api.apply([workflow], dry_run=False) == []
    stored = api.run("get", "flyteworkflow", "f1", "--namespace=remedy-development", "--output=jsonpath={.spec.id}")
    assert stored.stdout == "remedy:development:mend"

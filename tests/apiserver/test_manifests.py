"""A real API server accepts every manifest without a warning, with strict fields and Pod Security admission."""

import copy
import functools
from dataclasses import replace
from typing import Any

from ops.doctor.probes import Attempt, Source, _objects
from settings.placement import Placement
from tests.api_server import ApiServer
from tests.generated import recordings
from tests.helm import template
from tests.matrix import CASES, CNPG, DEFINITIONS, KUBERNETES, MONITORED, distinct, manifests, objects, recording

# What the administrator of a cluster installs, and the matrix names.
RUNTIME_CLASS = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "nvidia"},
    "handler": "nvidia",
}


@functools.cache
def prepared(api: ApiServer, *cases: str) -> list[dict[str, Any]]:
    """The manifests of the cases. Their namespaces and service accounts are created on the server first."""
    found = distinct(manifest for case in cases for manifest in manifests(case).values())
    assert api.apply(DEFINITIONS, dry_run=False) == []
    names = [f"crd/{definition['metadata']['name']}" for definition in DEFINITIONS]
    assert api.run("wait", "--for=condition=Established", *names, "--timeout=30s").returncode == 0
    api.make_namespaces(manifest for manifest in found if manifest["kind"] == "Namespace")
    assert api.apply([RUNTIME_CLASS, *(one for one in found if one["kind"] == "ServiceAccount")], dry_run=False) == []
    return found


def unexpected(said: list[str]) -> list[str]:
    """The problems and warnings of the server, except for the warning about the project that runs as root."""
    return [line for line in said if "(pod must not set runAsUser=0)" not in line]


def pods(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pods that controllers or Flyte would create from these manifests."""
    made = []
    for manifest in found:
        template = manifest.get("template") or manifest.get("spec", {}).get("template")
        if template:
            metadata = {"name": manifest["metadata"]["name"], "namespace": manifest["metadata"]["namespace"]}
            metadata |= {"labels": template.get("metadata", {}).get("labels", {})}
            made.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    return made


def test_the_server_accepts_every_manifest(api: ApiServer):
    found = prepared(api, *CASES)

    assert len(found) > 60
    assert unexpected(api.apply(found)) == []


def test_an_unknown_field_of_an_object_for_an_operator_would_be_rejected(api: ApiServer):
    kinds = {definition["spec"]["names"]["kind"] for definition in DEFINITIONS}
    found = [copy.deepcopy(manifest) for manifest in prepared(api, MONITORED, CNPG) if manifest["kind"] in kinds]
    for manifest in found:
        manifest["spec"]["unknown"] = 1

    problems = api.apply(found)

    assert {manifest["kind"] for manifest in found} == kinds
    assert len(problems) == len(found)
    assert all(".spec.unknown: field not declared in schema" in problem for problem in problems)


def test_the_server_accepts_every_pod(api: ApiServer):
    made = distinct(pods(prepared(api, *CASES)))

    assert {pod["metadata"]["name"] for pod in made} >= {"postgres", "minio", "flyte-task"}
    assert unexpected(api.create(made)) == []


def test_the_server_accepts_the_pods_with_which_the_doctor_tries_connections(api: ApiServer):
    prepared(api, *CASES)
    attempts = [Attempt("it", "tcp", "10.0.0.1", 5432, "closed")]
    in_task = Source("a task", "remedy-development", 1000, Placement(), attempts)
    (pod,) = _objects("flyte-doctor-1", "postgres:17", "node-1", in_task)
    namespace, account, foreign = _objects("flyte-doctor-2", "postgres:17", "", replace(in_task, namespace=""))
    api.make_namespaces([namespace])

    assert api.apply([account], dry_run=False) == []
    assert api.create([pod, foreign]) == []


def test_the_server_accepts_the_rendered_release_and_its_pod(api: ApiServer):
    prepared(api, *CASES)
    rendered = distinct(manifest for case in CASES for manifest in template(recording(case), KUBERNETES[-1]))
    accounts = [manifest for manifest in rendered if manifest["kind"] == "ServiceAccount"]

    assert api.apply(rendered) == []
    assert api.apply(accounts, dry_run=False) == []
    assert api.create(pods(rendered)) == []


def test_the_server_accepts_every_manifest_of_generated_settings_that_are_accepted(fresh_api: ApiServer):
    made: set[str] = set()
    for found in recordings():
        manifests_of_it = list(objects(found).values())
        spaces = {one["metadata"]["name"]: one for one in manifests_of_it if one["kind"] == "Namespace"}
        if new := spaces.keys() - made:
            fresh_api.make_namespaces(spaces[name] for name in new)
        made |= new
        release = [one for one in template(found, KUBERNETES[-1]) if one["kind"] != "ServiceAccount"]

        assert unexpected(fresh_api.apply([*manifests_of_it, *release])) == []


def test_objects_can_be_updated_in_place_when_settings_change(fresh_api: ApiServer):
    assert fresh_api.apply(prepared(fresh_api, "smallest"), dry_run=False) == []

    for case in ("given password, secret of one domain, mirror", "own values of the chart and addresses"):
        assert fresh_api.apply(prepared(fresh_api, case)) == []


def test_an_unknown_field_would_be_rejected(api: ApiServer):
    found = [copy.deepcopy(manifest) for manifest in prepared(api, "dev") if manifest["kind"] == "StatefulSet"]
    for manifest in found:
        manifest["spec"]["replica"] = 1

    problems = api.apply(found)

    assert len(problems) == len(found)
    assert all(".spec.replica: field not declared in schema" in problem for problem in problems)


def test_a_pod_with_more_rights_would_be_rejected(api: ApiServer):
    found = copy.deepcopy(pods(prepared(api, "dev")))
    for pod in found:
        pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}

    problems = api.create(found)

    assert {pod["metadata"]["name"] for pod in found} >= {"postgres", "minio", "flyte-task"}
    assert len(problems) == len(found)
    assert all("violates PodSecurity" in problem for problem in problems)


def test_the_pods_of_a_project_may_do_what_its_pod_security_level_allows(api: ApiServer):
    prepared(api, "several projects, own domains and template")
    images_of_their_own = {"containers": [{"name": "task", "image": "image:1"}]}
    as_root = {**images_of_their_own, "securityContext": {"runAsUser": 0}}
    with_the_disk = {**as_root, "volumes": [{"name": "disk", "hostPath": {"path": "/dev"}}]}

    def said(namespace: str, spec: dict[str, Any]) -> str:
        metadata = {"name": "task", "namespace": namespace}
        return " ".join(api.create([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}]))

    assert said("103020-a-x-d-dev", as_root).startswith("Warning: would violate")
    assert 'violates PodSecurity "baseline' in said("103020-a-x-d-dev", with_the_disk)
    assert said("103020-b-x-d-dev", with_the_disk).startswith("Warning: would violate")


def test_a_flyte_workflow_is_stored_with_all_its_fields(api: ApiServer):
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

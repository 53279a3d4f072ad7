"""The rights in the cluster, as a real API server reports them (SubjectAccessReview)."""

import pytest

from tests.api_server import ApiServer
from tests.conftest import run
from tests.helm import template
from tests.matrix import KUBERNETES, manifests

FLYTE = "system:serviceaccount:flyte:flyte-binary"
TASK = "system:serviceaccount:remedy-development:flyte-task"
WORKFLOWS = "flyteworkflows.flyte.lyft.com"
WEBHOOKS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
NAMESPACES = ("flyte", "remedy-development", "media", "kube-system", "")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


@pytest.fixture(scope="module")
def server(api: ApiServer) -> ApiServer:
    """A server with the namespaces and roles of the smallest stack."""
    found = list(manifests("smallest").values())
    api.make_namespaces(manifest for manifest in found if manifest["kind"] == "Namespace")
    rights = [manifest for manifest in found if "Role" in manifest["kind"] or manifest["kind"] == "ServiceAccount"]
    assert api.apply(rights, dry_run=False) == []
    return api


def allowed(server: ApiServer, user: str, *questions: tuple[str, str, str]) -> set[tuple[str, str, str]]:
    """The questions that the server answers with yes."""
    return {question for question, answer in zip(questions, server.may(user, *questions), strict=True) if answer}


def test_flyte_has_the_rights_that_workflows_need(server: ApiServer):
    needed = [
        *(
            (verb, resource, "")
            for verb in ("get", "list", "watch")
            for resource in ("pods", "podtemplates", WORKFLOWS)
        ),
        *((verb, "pods", "remedy-staging") for verb in ("create", "delete", "patch", "update")),
        *((verb, "events", "remedy-staging") for verb in ("create", "delete", "patch", "update")),
        *((verb, WORKFLOWS, "remedy-staging") for verb in ("create", "delete", "deletecollection", "patch", "update")),
    ]

    assert allowed(server, FLYTE, *needed) == set(needed)


def test_flyte_has_no_right_on_any_secret_not_even_in_its_own_namespace(server: ApiServer):
    questions = [(verb, "secrets", namespace) for verb in VERBS for namespace in NAMESPACES]
    questions += [(verb, "secrets/tidal-creds", "remedy-development") for verb in VERBS if verb != "create"]
    questions += [(verb, "secrets/postgres-credentials", "flyte") for verb in VERBS if verb != "create"]

    assert allowed(server, FLYTE, *questions) == set()


def test_flyte_changes_pods_and_workflows_only_in_task_namespaces(server: ApiServer):
    questions = [
        (verb, resource, namespace)
        for verb in ("create", "update", "patch", "delete", "deletecollection")
        for resource in ("pods", WORKFLOWS, "events")
        for namespace in ("flyte", "media", "kube-system", "default", "")
    ]

    assert allowed(server, FLYTE, *questions) == set()


@pytest.mark.parametrize(
    "resource",
    [
        WEBHOOKS,
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io",
        "namespaces",
        "resourcequotas",
        "serviceaccounts",
        "configmaps",
        "pods//exec",
        "nodes",
        "persistentvolumes",
        "deployments.apps",
        "daemonsets.apps",
        "networkpolicies.networking.k8s.io",
        "roles.rbac.authorization.k8s.io",
        "rolebindings.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io",
    ],
)
def test_flyte_cannot_gain_rights(server: ApiServer, resource: str):
    questions = [
        (verb, resource, namespace)
        for verb in ("create", "update", "patch", "delete")
        for namespace in ("flyte", "remedy-development", "kube-system", "")
    ]

    assert allowed(server, FLYTE, *questions) == set()


def test_tasks_have_no_rights_at_all(server: ApiServer):
    questions = [
        (verb, resource, namespace)
        for verb in VERBS
        for resource in ("secrets", "pods", "configmaps", WORKFLOWS)
        for namespace in ("remedy-development", "remedy-production", "flyte", "")
    ]

    assert allowed(server, TASK, *questions) == set()


def test_with_the_role_of_the_chart_flyte_can_read_every_secret(api: ApiServer):
    # In another namespace, so that Flyte does not get this role in the other tests.
    stack = run(namespace="charts", flyte={"rights": "chart"})
    api.make_namespaces(found.manifest for found in stack.of("Namespace"))
    rendered = template(stack, KUBERNETES[-1])
    roles = [found for found in rendered if "Role" in found["kind"] or found["kind"] == "ServiceAccount"]
    assert api.apply(roles, dry_run=False) == []

    questions = [("list", "secrets", "kube-system"), ("create", "namespaces", ""), ("update", WEBHOOKS, "")]
    assert allowed(api, "system:serviceaccount:charts:flyte-binary", *questions) == set(questions)

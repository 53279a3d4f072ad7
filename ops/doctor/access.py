"""The checks of the cluster behind the context: its identity, its version, and the user's rights."""

import json
import re
from collections.abc import Iterator, Mapping

from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.programs import INSTALL
from ops.doctor.stack import Stack
from ops.lib.kubectl import Cluster, documents
from ops.lib.text import one_line
from settings import Settings
from settings.errors import SettingsError
from settings.servers import PostgresSettings

# Resources by API group: what `make up` creates and `make destroy` deletes. A test compares them with the program.
_KINDS_OF_UP = {
    "": (
        "namespaces secrets configmaps services serviceaccounts persistentvolumeclaims resourcequotas limitranges "
        "podtemplates"
    ),
    "apps": "statefulsets deployments",
    "batch": "jobs cronjobs",
    "networking.k8s.io": "networkpolicies ingresses",
    "policy": "poddisruptionbudgets",
    "rbac.authorization.k8s.io": "roles rolebindings clusterroles clusterrolebindings",
    "apiextensions.k8s.io": "customresourcedefinitions",
    "admissionregistration.k8s.io": (
        "mutatingwebhookconfigurations validatingadmissionpolicies validatingadmissionpolicybindings"
    ),
}
# The same, for the operators that the settings name.
_PROMETHEUS_OPERATOR = {"monitoring.coreos.com": "servicemonitors prometheusrules"}
_CLOUDNATIVE_PG = {"postgresql.cnpg.io": "clusters"}
_ARCHIVE = {"postgresql.cnpg.io": "clusters scheduledbackups", "barmancloud.cnpg.io": "objectstores"}
_GRAFANA_OPERATOR = {"grafana.integreatly.org": "grafanadashboards"}
# Further rights of the doctor and `make connect`: verb, API group, resource, subresource.
_OWN = [
    ("get", "", "pods", ""),
    ("create", "", "pods", ""),
    ("delete", "", "pods", ""),
    ("create", "", "pods", "exec"),
    ("create", "", "pods", "portforward"),
    ("get", "", "pods", "log"),
    ("list", "", "events", ""),
    ("get", "discovery.k8s.io", "endpointslices", ""),
    ("list", "discovery.k8s.io", "endpointslices", ""),
    ("list", "networking.k8s.io", "networkpolicies", ""),
    ("list", "flyte.lyft.com", "flyteworkflows", ""),
]


def check_context(stack: Stack) -> Iterator[Result]:
    """Check that the stack's own cluster answers, and that kubectl fits it. Afterwards the stack has its `Cluster`."""
    settings = stack.settings
    try:
        stack.cluster = Cluster.of(settings.context, settings.kubeconfig)
    except SettingsError as error:
        yield wrong(str(error), f"make up STACK={stack.name} CONTEXT=NAME  # with an existing context")
        return
    answer = stack.cluster.run("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}", seconds=10)
    if answer.returncode:
        yield wrong(
            f"kubernetes:context: the cluster of {settings.context!r} does not answer: {one_line(answer.stderr)}",
            stack.cluster.shown("cluster-info"),
        )
        return
    if answer.stdout != settings.cluster_uid:
        yield wrong(
            f"flyte-home:clusterUid: stack {stack.name!r} belongs to the cluster "
            f"{settings.cluster_uid or '(none yet)'}, but {settings.context!r} leads to {answer.stdout}",
            f"make up STACK={stack.name} CONTEXT=NAME  # with the context of the right cluster",
        )
        return
    versions = json.loads(stack.cluster.run("version", "--output=json", seconds=10).stdout or "{}")
    client, server = (_minor(versions.get(f"{side}Version") or {}) for side in ("client", "server"))
    if client and server and abs(client - server) > 1:
        yield remark(
            f"kubectl 1.{client} and the server 1.{server} are more than one minor version apart, which Kubernetes "
            "does not support",
            f"# install kubectl 1.{server} from {INSTALL['kubectl']}",
        )
    yield ok(f"cluster {answer.stdout} of context {settings.context}, Kubernetes 1.{server}")


def check_rights(stack: Stack) -> Iterator[Result]:
    """Check that the user may do everything that `make up` and the doctor do.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
    """
    wanted = [
        (verb, group, resource, "")
        for group, resources in kinds_of_up(stack.settings).items()
        for resource in resources.split()
        for verb in ("create", "patch", "delete")
    ] + _OWN
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": dict(zip(("verb", "group", "resource", "subresource"), right, strict=True))},
        }
        for right in wanted
    ]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    answer = stack.cluster.run("create", "--filename=-", "--validate=false", "--output=json", given=given, seconds=15)
    if answer.returncode:
        yield wrong(f"the cluster does not list your rights: {one_line(answer.stderr)}")
        return
    missing = []
    for review in documents(answer.stdout):
        attributes = review["spec"]["resourceAttributes"]
        if not review["status"]["allowed"]:
            part = f"/{attributes['subresource']}" if attributes.get("subresource") else ""
            group = f".{attributes['group']}" if attributes.get("group") else ""
            missing.append(f"{attributes['verb']} {attributes['resource']}{part}{group}")
    if missing:
        yield wrong(
            f"you may not: {', '.join(missing)}",
            stack.cluster.shown("auth", "can-i", "--list")
            + "  # shows your rights; the cluster's administrator grants more",
        )
    else:
        yield ok(f"all {len(wanted)} that make up and make doctor need")


def kinds_of_up(settings: Settings) -> dict[str, str]:
    """Return the resources that a stack with these settings has, by API group."""
    monitoring = settings.monitoring
    return {
        **_KINDS_OF_UP,
        **(_PROMETHEUS_OPERATOR if monitoring.scrape == "operator" else {}),
        **(_GRAFANA_OPERATOR if monitoring.enabled and monitoring.dashboards.grafana_operator else {}),
        **_database_kinds(settings.postgres),
    }


def _database_kinds(postgres: PostgresSettings) -> dict[str, str]:
    """The resources of the operator of the database, by API group."""
    if postgres.mode != "cloudnative-pg":
        return {}
    return _ARCHIVE if postgres.cloudnative_pg.archive.destination else _CLOUDNATIVE_PG


def _minor(version: Mapping[str, str]) -> int:
    digits = re.match(r"\d+", version.get("minor", ""))
    return int(digits[0]) if digits else 0
